// The vision encoder: pixels at the exact target size in, embedding rows out. Used by the engine thread only.
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

    // Rows [count × embedding width] of one picture or of one pair of frames. `cancelled` is asked after every layer. Throws Error ENCODE_FAILED,
    // INVALID_ARGUMENT (size is not the encoder's) or ABORTED.
    std::vector<float> encode(const ImageSegment & image, const std::function<bool()> & cancelled);

    // Type in which most weights are multiplied, as ggml names it.
    const std::string & weight_type() const { return weight_type_; }

  private:
    static bool after_layer(ggml_tensor * node, bool ask, void * data);

    int embedding_width_;
    const std::function<bool()> * cancelled_ = nullptr;
    bool stopped_ = false;
    mtmd::context_ptr ctx_;
    std::string weight_type_;
};

}  // namespace qvl
