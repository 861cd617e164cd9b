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

// Attention alone: a sequence that is only kept costs no memory of its own.
constexpr int kCaches = 29;

ggml_type cache_type(const std::string & name) {
    return name == "f32" ? GGML_TYPE_F32 : name == "q8_0" ? GGML_TYPE_Q8_0 : GGML_TYPE_F16;
}

}  // namespace

void Decoder::ThreadPoolDeleter::operator()(ggml_threadpool * pool) const {
    if (auto * free_pool = cpu_function<decltype(ggml_threadpool_free)>("ggml_threadpool_free")) {
        free_pool(pool);
    }
}

int TokenBatch::add(const SequenceItem & item, int sequence, bool logits) {
    tokens_.push_back(item.token);
    positions_.push_back(item.position);
    sequences_.push_back(sequence);
    outputs_.push_back(logits ? 1 : 0);
    return static_cast<int>(size()) - 1;
}

bool TokenBatch::of_one_sequence() const {
    return std::all_of(sequences_.begin(), sequences_.end(), [this](int id) { return id == sequences_.front(); });
}

Decoder::Decoder(const EngineParams & params, std::shared_ptr<const Model> model, int threads)
    : model_(std::move(model)),
      sequences_(params.deterministic || model_->has_state()
                     ? params.parallel
                     : std::min(params.parallel + kCaches, static_cast<int>(llama_max_parallel_sequences()))) {
    LogTail tail;
    llama_context_params options = llama_context_default_params();
    const int memories = params.deterministic ? params.parallel : 1;
    const int batch_size = std::max(params.batch_size, params.parallel);
    options.n_ctx = static_cast<uint32_t>(params.context_size) * static_cast<uint32_t>(memories);
    options.n_batch = static_cast<uint32_t>(batch_size);
    options.n_ubatch = static_cast<uint32_t>(std::min(batch_size, 512));
    // Sizes buffers, and how many states there are; attention alone takes sequences beyond it.
    const auto parallel = static_cast<uint32_t>(params.parallel);
    options.n_seq_max =
        model_->has_head() ? std::min(2 * parallel, static_cast<uint32_t>(llama_max_parallel_sequences())) : parallel;
    options.kv_unified = !params.deterministic;
    // llama.cpp ends the process if it is less than n_seq_max.
    options.n_outputs_max = std::max(options.n_seq_max, parallel + static_cast<uint32_t>(kMostGuesses));
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
    options.abort_callback = [](void * data) {
        const auto * abort = static_cast<Decoder *>(data)->abort_;
        return abort != nullptr && (*abort)();
    };
    options.abort_callback_data = this;
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
        // After a step its threads spin for so long: some 3 ms, enough for the next token's sampling. The default is fifty times
        // that, which the picture encoder and the event loop need.
        pool.poll = 1;
        threads_.reset(new_pool(&pool));
        if (threads_) {
            llama_attach_threadpool(ctx_.get(), threads_.get(), nullptr);
        }
    }
    if (model_->has_head()) {
        options.n_seq_max = parallel;
        head_ = std::make_unique<MtpHead>(options, *model_, threads_.get());
    }
}

void Decoder::use_adapters(const std::vector<float> & scales) {
    auto adapters = model_->adapters();
    auto values = scales;
    values.resize(adapters.size(), 0);
    llama_set_adapters_lora(ctx_.get(), adapters.data(), adapters.size(), values.data());
}

Decoder::Outcome Decoder::decode(TokenBatch & tokens, const std::function<bool()> & abort) {
    llama_batch batch{};
    batch.n_tokens = static_cast<int32_t>(tokens.size());
    batch.token = tokens.tokens_.data();
    batch.pos = tokens.positions_.data();
    batch.logits = tokens.outputs_.data();
    if (head_) {
        // Unmasked rows come in the order in which llama.cpp splits a batch: for one sequence, that of its tokens.
        MtpHead::want_rows(ctx_.get(), /*masked*/ !tokens.of_one_sequence());
    }
    return run(batch, tokens.sequences_, abort);
}

Decoder::Outcome Decoder::decode_rows(const ImageSegment & image, const std::vector<float> & rows, size_t begin,
                                      size_t end, int sequence, const std::function<bool()> & abort) {
    const auto count = static_cast<size_t>(image.count);
    const auto width = static_cast<size_t>(model_->embedding_width());
    // t, h, w and a fourth that no rotation of a video's rows depends on: it tells who came first at an equal t
    const size_t axes = model_->uses_mrope() ? 4 : 1;
    const size_t n = end - begin;
    std::vector<float> embeddings(rows.begin() + static_cast<std::ptrdiff_t>(begin * width),
                                  rows.begin() + static_cast<std::ptrdiff_t>(end * width));
    std::vector<llama_pos> positions(n * axes, 0);
    for (size_t axis = 0; axis < std::min<size_t>(axes, 3); axis++) {
        std::copy_n(image.positions.begin() + static_cast<std::ptrdiff_t>(axis * count + begin), n,
                    positions.begin() + static_cast<std::ptrdiff_t>(axis * n));
    }
    if (axes == 4) {
        std::fill_n(positions.begin() + static_cast<std::ptrdiff_t>(3 * n), n, image.order);
    }
    std::vector<int8_t> outputs(n, 0);
    std::vector<llama_seq_id> sequences(n, sequence);
    llama_batch batch{};
    batch.n_tokens = static_cast<int32_t>(n);
    batch.embd = embeddings.data();
    batch.pos = positions.data();
    batch.logits = outputs.data();
    if (head_) {
        MtpHead::want_rows(ctx_.get(), /*masked*/ false);
    }
    return run(batch, sequences, abort);
}

Decoder::Outcome Decoder::run(llama_batch & batch, std::vector<llama_seq_id> & sequences,
                              const std::function<bool()> & abort) {
    LogTail tail;
    std::vector<int32_t> counts(sequences.size(), 1);
    std::vector<llama_seq_id *> ids;
    for (auto & id : sequences) {
        ids.push_back(&id);
    }
    batch.n_seq_id = counts.data();
    batch.seq_id = ids.data();
    abort_ = abort ? &abort : nullptr;
    int32_t status = 0;
    std::string thrown;
    try {
        status = llama_decode(ctx_.get(), batch);
    } catch (const std::exception & error) {  // reserving compute buffers throws through the C API
        status = -2;
        thrown = error.what();
    }
    abort_ = nullptr;
    switch (status) {
        case 0:
            return Outcome::Done;
        case 1:
            return Outcome::NoRoom;
        case 2:
            return Outcome::Aborted;
        default:
            failure_ = std::make_unique<Error>(status == -2 ? "OUT_OF_MEMORY" : "DECODE_FAILED",
                                               "llama.cpp could not decode (status " + std::to_string(status) + ").",
                                               thrown.empty() ? tail.text() : thrown);
            return Outcome::Failed;
    }
}

}  // namespace qvl
