// The llama.cpp context of one engine: prompt and token batches in, logits out. Used by the engine thread only.
#pragma once

#include "checkpoints.h"
#include "model.h"
#include "params.h"
#include "sequence.h"

#include "ggml-cpu.h"
#include "llama-cpp.h"

#include <functional>
#include <memory>
#include <vector>

namespace qvl {

class Decoder {
  public:
    // Throws Error OUT_OF_MEMORY when the context cannot be made. `cancelled` is asked between graph nodes on a CPU.
    Decoder(const EngineParams & params, std::shared_ptr<const Model> model, int threads,
            std::function<bool()> cancelled);

    // As asked for; llama.cpp rounds its own size up.
    int context_size() const { return context_size_; }
    int32_t cells() const { return sequence_.cells(); }

    // Keeps the longest common prefix with `prompt` and drops the rest. At least one item is left to decode, so that
    // there are logits. Returns the number of items kept.
    size_t reuse(const std::vector<SequenceItem> & prompt);
    // Where the batch of text ends that begins at prompt[begin].
    size_t batch_end(const std::vector<SequenceItem> & prompt, size_t begin) const;
    // Decodes text items prompt[begin, end), at most batch_size() of them; logits of the last with `logits`.
    void decode_tokens(const std::vector<SequenceItem> & prompt, size_t begin, size_t end, bool logits);
    // Decodes one picture or pair of frames, whose rows are [cells × width].
    void decode_image(const SequenceItem & item, const std::vector<float> & rows, const ImageSegment & image);

    // Empties the KV memory, its bytes too: a NaN in a dropped cell would still reach what is computed beside it.
    void forget();

    // Waits until a GPU has computed what was decoded, so that times are true.
    void synchronize() { llama_synchronize(ctx_.get()); }

    int batch_size() const { return static_cast<int>(llama_n_batch(ctx_.get())); }
    // Logits of the last decoded token, [vocabulary]. Valid until the next decode.
    float * logits() { return llama_get_logits_ith(ctx_.get(), -1); }

  private:
    // Throws when the batch fails, and rolls the KV memory back to before the batch's first position.
    void run(llama_batch & batch);
    void drop_from(int32_t position);

    struct ThreadPoolDeleter {
        void operator()(ggml_threadpool * pool) const;
    };

    const int context_size_;
    std::shared_ptr<const Model> model_;
    std::function<bool()> cancelled_;
    std::unique_ptr<ggml_threadpool, ThreadPoolDeleter> threads_;
    llama_context_ptr ctx_;
    Sequence sequence_;
    Checkpoints checkpoints_;
};

}  // namespace qvl
