#include "vision.h"

#include "backends.h"
#include "error.h"
#include "log.h"
#include "refusal.h"
#include "vision_weights.h"

#include <cstring>

namespace qvl {

namespace {

// mtmd resizes to its own idea of the right size. With its limits opened wide it accepts every multiple of
// patch × merge as it is, so the size chosen in TypeScript passes untouched.
constexpr int kMinImageTokens = 1;
constexpr int kMaxImageTokens = 32768;

std::string size_text(const ImageSegment & image) {
    return std::to_string(image.width) + "×" + std::to_string(image.height);
}

}  // namespace

Vision::Vision(const EngineParams & params, const Model & model, int threads, const ProgressCallback & progress)
    : embedding_width_(model.embedding_width()), on_cpu_(compute_device(params.gpu_layers).kind == "cpu") {
    LogTail tail;
    bool aborted = false;
    struct Loading {
        const ProgressCallback & progress;
        bool & aborted;
    } loading{progress, aborted};

    mtmd_context_params options = mtmd_context_params_default();
    options.use_gpu = params.gpu_layers != 0;
    options.print_timings = false;
    options.n_threads = threads;
    options.warmup = false;  // would reserve buffers for a large picture that may never come
    options.image_min_tokens = kMinImageTokens;
    options.image_max_tokens = kMaxImageTokens;
    options.flash_attn_type = params.flash_attention == "on"    ? LLAMA_FLASH_ATTN_TYPE_ENABLED
                              : params.flash_attention == "off" ? LLAMA_FLASH_ATTN_TYPE_DISABLED
                                                                : LLAMA_FLASH_ATTN_TYPE_AUTO;
    options.cb_eval = between;
    options.cb_eval_user_data = this;
    options.progress_callback = [](float value, void * data) {
        auto * state = static_cast<Loading *>(data);
        state->aborted = !state->progress(value);
        return !state->aborted;
    };
    options.progress_callback_user_data = &loading;

    ctx_.reset(mtmd_init_from_file(params.mmproj.c_str(), model.get(), options));
    if (aborted) {
        throw Error("ABORTED", "Loading was aborted.");
    }
    if (!ctx_) {
        throw refusal(params.mmproj, "download the projector that belongs to this model.", tail.text());
    }
    if (!mtmd_support_vision(ctx_.get())) {
        throw Error("PROJECTOR_MISMATCH",
                    "'" + params.mmproj + "' has no vision encoder. Use the model's vision projector.");
    }
    ggml_context * weights = mtmd_get_vision_weights(ctx_.get());
    if (!params.exact_encoder && cpu_prefers_bf16()) {
        matrices_to_bf16(weights);
    }
    weight_type_ = main_type(weights);
}

bool Vision::between(ggml_tensor * node, bool ask, void * data) {
    auto * self = static_cast<Vision *>(data);
    if (ask) {
        const bool large = node->op == GGML_OP_MUL_MAT || node->op == GGML_OP_FLASH_ATTN_EXT;
        return (self->on_cpu_ && large) || std::strncmp(node->name, "layer_out", 9) == 0;
    }
    self->stopped_ = self->go_on_ != nullptr && !(*self->go_on_)();
    return !self->stopped_;
}

std::vector<float> Vision::encode(const ImageSegment & image, const std::function<bool()> & go_on) {
    LogTail tail;
    const auto width = static_cast<uint32_t>(image.width);
    const auto height = static_cast<uint32_t>(image.height);
    const auto count = static_cast<size_t>(image.frames);
    std::vector<mtmd::bitmap> frames;
    std::vector<mtmd_input_part> parts;
    for (size_t i = 0; i < count; i++) {
        frames.emplace_back(width, height, image.pixels.data() + i * (image.pixels.size() / count));
        mtmd_bitmap_set_mergeable(frames.back().ptr.get(), count > 1);
        parts.push_back({nullptr, frames.back().ptr.get()});
    }
    std::vector<const mtmd_input_part *> pointers;
    for (const auto & part : parts) {
        pointers.push_back(&part);
    }
    mtmd::input_chunks chunks(mtmd_input_chunks_init());
    if (mtmd_tokenize_from_parts(ctx_.get(), chunks.ptr.get(), pointers.data(), pointers.size(),
                                 /*add_special*/ false) != 0) {
        throw Error("ENCODE_FAILED", "The encoder refused a picture of " + size_text(image) + ".", tail.text());
    }
    const mtmd_input_chunk * chunk = nullptr;
    for (size_t i = 0; i < chunks.size(); i++) {
        if (mtmd_input_chunk_get_type(chunks[i]) == MTMD_INPUT_CHUNK_TYPE_IMAGE) {
            chunk = chunks[i];
        }
    }
    const size_t rows = chunk != nullptr ? mtmd_input_chunk_get_n_tokens(chunk) : 0;
    if (rows != static_cast<size_t>(image.count)) {
        throw Error("INVALID_ARGUMENT", "A picture of " + size_text(image) + " gives " + std::to_string(rows) +
                                            " embedding rows, " + std::to_string(image.count) + " were expected.");
    }
    stopped_ = false;
    go_on_ = &go_on;
    const int32_t failed = mtmd_encode_chunk(ctx_.get(), chunk);
    go_on_ = nullptr;
    // A stopped graph still reports success: the rows are garbage then.
    if (stopped_) {
        throw Error("ABORTED", "Encoding was cancelled.");
    }
    if (failed != 0) {
        throw Error("ENCODE_FAILED",
                    "Encoding a picture of " + size_text(image) +
                        " failed, most likely for want of memory. Lower `maxPixels` of the picture.",
                    tail.text());
    }
    const float * data = mtmd_get_output_embd(ctx_.get());
    return {data, data + rows * static_cast<size_t>(embedding_width_)};
}

}  // namespace qvl
