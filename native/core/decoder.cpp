#include "decoder.h"

#include "error.h"
#include "log.h"

#include <algorithm>
#include <exception>

namespace qvl {

namespace {

// The CPU backend may be a plug-in: its functions are found by name, not by linking.
template <typename Function>
Function * cpu_function(const char * name) {
    ggml_backend_dev_t cpu = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    return cpu == nullptr ? nullptr
                          : reinterpret_cast<Function *>(
                                ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(cpu), name));
}

ggml_type cache_type(const std::string & name) {
    return name == "f32" ? GGML_TYPE_F32 : name == "q8_0" ? GGML_TYPE_Q8_0 : GGML_TYPE_F16;
}

}  // namespace

void Decoder::ThreadPoolDeleter::operator()(ggml_threadpool * pool) const {
    if (auto * free_pool = cpu_function<decltype(ggml_threadpool_free)>("ggml_threadpool_free")) {
        free_pool(pool);
    }
}

Decoder::Decoder(const EngineParams & params, std::shared_ptr<const Model> model, int threads,
                 std::function<bool()> cancelled)
    : context_size_(params.context_size), model_(std::move(model)), cancelled_(std::move(cancelled)),
      checkpoints_(*model_) {
    LogTail tail;
    llama_context_params options = llama_context_default_params();
    options.n_ctx = static_cast<uint32_t>(params.context_size);
    options.n_batch = static_cast<uint32_t>(params.batch_size);
    options.n_ubatch = static_cast<uint32_t>(std::min(params.batch_size, 512));
    options.n_seq_max = 1;
    options.n_threads = threads;
    options.n_threads_batch = threads;
    options.type_k = cache_type(params.cache_type);
    options.type_v = cache_type(params.cache_type);
    options.flash_attn_type = params.flash_attention == "on"    ? LLAMA_FLASH_ATTN_TYPE_ENABLED
                              : params.flash_attention == "off" ? LLAMA_FLASH_ATTN_TYPE_DISABLED
                                                                : LLAMA_FLASH_ATTN_TYPE_AUTO;
    options.offload_kqv = params.gpu_layers != 0;
    options.op_offload = params.gpu_layers != 0;
    options.no_perf = true;
    options.abort_callback = [](void * data) { return (*static_cast<std::function<bool()> *>(data))(); };
    options.abort_callback_data = &cancelled_;
    ctx_.reset(llama_init_from_model(model_->get(), options));
    if (!ctx_) {
        throw Error("OUT_OF_MEMORY",
                    "A context of " + std::to_string(params.context_size) +
                        " tokens could not be created. Use a smaller `contextSize`, or `cacheType: 'q8_0'`.",
                    tail.text());
    }
    // Without a pool of its own ggml starts and ends threads for every graph.
    if (auto * new_pool = cpu_function<decltype(ggml_threadpool_new)>("ggml_threadpool_new")) {
        ggml_threadpool_params pool = ggml_threadpool_params_default(threads);
        threads_.reset(new_pool(&pool));
        if (threads_) {
            llama_attach_threadpool(ctx_.get(), threads_.get(), nullptr);
        }
    }
}

size_t Decoder::reuse(const std::vector<SequenceItem> & prompt) {
    size_t keep = sequence_.common_prefix(prompt);
    if (keep == prompt.size() && keep > 0) {
        keep--;
    }
    if (keep < sequence_.size()) {
        keep = checkpoints_.restore(ctx_.get(), keep);
        drop_from(sequence_.position(keep));
    }
    checkpoints_.plan(prompt);
    return sequence_.size();
}

void Decoder::forget() {
    llama_memory_clear(llama_get_memory(ctx_.get()), /*data*/ true);
    sequence_ = {};
    checkpoints_.truncate(0);
}

void Decoder::drop_from(int32_t position) {
    llama_memory_t memory = llama_get_memory(ctx_.get());
    if (!llama_memory_seq_rm(memory, 0, position, -1)) {
        // A recurrent state cannot be cut: start over. With the bytes, for half a computed batch may be in them.
        llama_memory_clear(memory, true);
        position = 0;
    }
    sequence_.truncate_from(position);
    checkpoints_.truncate(sequence_.size());
}

size_t Decoder::batch_end(const std::vector<SequenceItem> & prompt, size_t begin) const {
    const size_t most = std::min(begin + static_cast<size_t>(batch_size()), checkpoints_.next_place(begin));
    size_t end = begin;
    while (end < std::min(most, prompt.size()) && prompt[end].token >= 0) {
        end++;
    }
    return end;
}

void Decoder::decode_tokens(const std::vector<SequenceItem> & prompt, size_t begin, size_t end, bool logits) {
    const size_t n = end - begin;
    std::vector<llama_token> tokens(n);
    std::vector<llama_pos> positions(n);
    std::vector<int8_t> outputs(n, 0);
    for (size_t i = 0; i < n; i++) {
        tokens[i] = prompt[begin + i].token;
        positions[i] = prompt[begin + i].position;
    }
    outputs.back() = logits ? 1 : 0;
    llama_batch batch{};
    batch.n_tokens = static_cast<int32_t>(n);
    batch.token = tokens.data();
    batch.pos = positions.data();
    batch.logits = outputs.data();
    run(batch);
    for (size_t i = begin; i < end; i++) {
        sequence_.append(prompt[i]);
    }
    checkpoints_.save(ctx_.get(), sequence_.size());
}

void Decoder::decode_image(const SequenceItem & item, const std::vector<float> & rows, const ImageSegment & image) {
    const auto count = static_cast<size_t>(item.cells);
    const auto width = static_cast<size_t>(model_->embedding_width());
    // t, h, w and a fourth that no rotation of a video's rows depends on: it tells who came first at an equal t
    const size_t axes = model_->uses_mrope() ? 4 : 1;
    std::vector<float> embeddings;
    for (size_t begin = 0; begin < count; begin += static_cast<size_t>(batch_size())) {
        const size_t n = std::min(count - begin, static_cast<size_t>(batch_size()));
        embeddings.assign(rows.begin() + static_cast<std::ptrdiff_t>(begin * width),
                          rows.begin() + static_cast<std::ptrdiff_t>((begin + n) * width));
        std::vector<llama_pos> batch_positions(n * axes, 0);
        for (size_t axis = 0; axis < std::min<size_t>(axes, 3); axis++) {
            std::copy_n(image.positions.begin() + static_cast<std::ptrdiff_t>(axis * count + begin), n,
                        batch_positions.begin() + static_cast<std::ptrdiff_t>(axis * n));
        }
        if (axes == 4) {
            std::fill_n(batch_positions.begin() + static_cast<std::ptrdiff_t>(3 * n), n, image.order);
        }
        std::vector<int8_t> outputs(n, 0);
        llama_batch batch{};
        batch.n_tokens = static_cast<int32_t>(n);
        batch.embd = embeddings.data();
        batch.pos = batch_positions.data();
        batch.logits = outputs.data();
        run(batch);
    }
    sequence_.append(item);
    checkpoints_.save(ctx_.get(), sequence_.size());
}

void Decoder::run(llama_batch & batch) {
    LogTail tail;
    // One sequence: every token belongs to sequence 0.
    llama_seq_id sequence_id = 0;
    std::vector<int32_t> counts(static_cast<size_t>(batch.n_tokens), 1);
    std::vector<llama_seq_id *> ids(static_cast<size_t>(batch.n_tokens), &sequence_id);
    batch.n_seq_id = counts.data();
    batch.seq_id = ids.data();
    int32_t status = 0;
    std::string thrown;
    try {
        status = llama_decode(ctx_.get(), batch);
    } catch (const std::exception & error) {  // reserving compute buffers throws through the C API
        status = -2;
        thrown = error.what();
    }
    if (status == 0) {
        return;
    }
    drop_from(batch.pos[0]);
    if (status == 2) {
        throw Error("ABORTED", "Decoding was cancelled.");
    }
    const std::string detail = thrown.empty() ? tail.text() : thrown;
    if (status == 1) {
        throw Error("CONTEXT_OVERFLOW",
                    "The context is full. Use a larger `contextSize`, a shorter prompt, or a lower `maxPixels`.",
                    detail);
    }
    throw Error(status == -2 ? "OUT_OF_MEMORY" : "DECODE_FAILED",
                "llama.cpp could not decode (status " + std::to_string(status) + ").", detail);
}

}  // namespace qvl
