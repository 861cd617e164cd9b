// The vision encoder: pixels at the exact target size in, embedding rows out. Used by the encoder's thread only.
#pragma once

#include "model.h"
#include "params.h"

#include "mtmd.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace qvl {

class Vision {
  public:
    // Throws Error MODEL_LOAD_FAILED, PROJECTOR_MISMATCH or ABORTED.
    Vision(const EngineParams & params, const Model & model, int threads, const ProgressCallback & progress);

    // Rows [count × embedding width] of one picture or of one pair of frames. `go_on` is asked between operations: on a
    // CPU after each large one, elsewhere after each layer. Throws Error ENCODE_FAILED, INVALID_ARGUMENT (size is not the
    // encoder's) or ABORTED.
    std::vector<float> encode(const ImageSegment & image, const std::function<bool()> & go_on);

    int embedding_width() const { return embedding_width_; }
    // Type in which most weights are multiplied, as ggml names it.
    const std::string & weight_type() const { return weight_type_; }

  private:
    static bool between(ggml_tensor * node, bool ask, void * data);

    int embedding_width_;
    bool on_cpu_;
    const std::function<bool()> * go_on_ = nullptr;
    bool stopped_ = false;
    mtmd::context_ptr ctx_;
    std::string weight_type_;
};

}  // namespace qvl
