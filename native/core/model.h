// Weights and vocabulary of the decoder. Immutable after loading: any thread may read.
#pragma once

#include "params.h"

#include "llama-cpp.h"

#include <functional>
#include <string>
#include <vector>

namespace qvl {

// Returns false to stop loading. `progress` runs from 0 to 1.
using ProgressCallback = std::function<bool(float progress)>;

class Model {
  public:
    // Throws Error MODEL_LOAD_FAILED with the loader's log, or ABORTED.
    Model(const EngineParams & params, const ProgressCallback & progress);

    llama_model * get() const { return model_.get(); }
    const llama_vocab * vocab() const { return vocab_; }
    const std::vector<llama_adapter_lora *> & adapters() const { return adapters_; }
    int embedding_width() const { return llama_model_n_embd_inp(model_.get()); }
    bool uses_mrope() const;
    // True: keeps a state beside or instead of KV cells (linear attention), which cannot be cut back.
    bool has_state() const { return llama_model_is_hybrid(model_.get()) || llama_model_is_recurrent(model_.get()); }
    // True: a head for multi-token prediction was asked for, and there is one of the kind that llama.cpp computes.
    bool has_head() const { return has_head_; }
    bool is_end(int32_t token) const { return llama_vocab_is_eog(vocab_, token); }

    std::vector<int32_t> tokenize(const std::string & text, bool parse_special) const;
    // Bytes of one token, perhaps a part of a UTF-8 sequence. Control tokens give their name only with `special`.
    std::string piece(int32_t token, bool special) const;
    std::vector<int32_t> end_tokens() const;
    std::vector<int32_t> control_tokens() const;

  private:
    llama_model_ptr model_;
    const llama_vocab * vocab_;
    bool has_head_ = false;
    std::vector<llama_adapter_lora *> adapters_;  // llama.cpp frees them with the model
};

}  // namespace qvl
