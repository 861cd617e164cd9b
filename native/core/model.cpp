#include "model.h"

#include "adapter.h"
#include "error.h"
#include "log.h"
#include "refusal.h"

#include <limits>

namespace qvl {

Model::Model(const EngineParams & params, const ProgressCallback & progress) {
    LogTail tail;
    bool aborted = false;
    struct Loading {
        const ProgressCallback & progress;
        bool & aborted;
    } loading{progress, aborted};

    llama_model_params options = llama_model_default_params();
    ggml_backend_dev_t no_devices[] = {nullptr};
    if (params.gpu_layers == 0) {
        options.devices = no_devices;  // else single operations would still be offloaded
    }
    options.n_gpu_layers = params.gpu_layers;
    options.load_mode = params.mmap ? LLAMA_LOAD_MODE_AUTO : LLAMA_LOAD_MODE_NONE;
    options.progress_callback = [](float value, void * data) {
        auto * state = static_cast<Loading *>(data);
        state->aborted = !state->progress(value);
        return !state->aborted;
    };
    options.progress_callback_user_data = &loading;
    options.load_mtp = params.mtp && !params.deterministic;  // whose answers are not guessed

    model_.reset(llama_model_load_from_file(params.model.c_str(), options));
    if (aborted) {
        throw Error("ABORTED", "Loading was aborted.");
    }
    if (!model_) {
        throw refusal(params.model,
                      "a file that was converted by another version should be converted or downloaded again.",
                      tail.text());
    }
    vocab_ = llama_model_get_vocab(model_.get());
    has_head_ = options.load_mtp && has_state() && llama_model_n_layer_nextn(model_.get()) == 1;
    for (const auto & path : params.adapters) {
        adapters_.push_back(load_adapter(model_.get(), path));
    }
}

bool Model::uses_mrope() const {
    const llama_rope_type type = llama_model_rope_type(model_.get());
    return type == LLAMA_ROPE_TYPE_MROPE || type == LLAMA_ROPE_TYPE_IMROPE;
}

std::vector<int32_t> Model::tokenize(const std::string & text, bool parse_special) const {
    if (text.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
        throw Error("INVALID_ARGUMENT", "A text of more than 2 GB cannot be tokenised. Split it.");
    }
    const auto length = static_cast<int32_t>(text.size());
    std::vector<int32_t> tokens(text.size() / 2 + 16);
    auto run = [&] {
        return llama_tokenize(vocab_, text.data(), length, tokens.data(), static_cast<int32_t>(tokens.size()),
                              /*add_special*/ false, parse_special);
    };
    int32_t n = run();
    if (n < 0) {
        tokens.resize(static_cast<size_t>(-static_cast<int64_t>(n)));
        n = run();
    }
    tokens.resize(static_cast<size_t>(n));
    return tokens;
}

std::string Model::piece(int32_t token, bool special) const {
    std::string text(32, '\0');
    int32_t n = llama_token_to_piece(vocab_, token, text.data(), static_cast<int32_t>(text.size()), 0, special);
    if (n < 0) {
        text.resize(static_cast<size_t>(-n));
        n = llama_token_to_piece(vocab_, token, text.data(), static_cast<int32_t>(text.size()), 0, special);
    }
    text.resize(static_cast<size_t>(n));
    return text;
}

std::vector<int32_t> Model::end_tokens() const {
    std::vector<int32_t> tokens;
    for (int32_t id = 0; id < llama_vocab_n_tokens(vocab_); id++) {
        if (llama_vocab_is_eog(vocab_, id)) {
            tokens.push_back(id);
        }
    }
    return tokens;
}

std::vector<int32_t> Model::control_tokens() const {
    std::vector<int32_t> tokens;
    for (int32_t id = 0; id < llama_vocab_n_tokens(vocab_); id++) {
        if (llama_vocab_is_control(vocab_, id)) {
            tokens.push_back(id);
        }
    }
    return tokens;
}

}  // namespace qvl
