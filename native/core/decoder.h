// The llama.cpp context of one engine: batches of tokens or of picture rows in, logits out. Used by the engine thread
// only.
#pragma once

#include "model.h"
#include "mtp_head.h"
#include "params.h"
#include "sequence.h"

#include "ggml-cpu.h"
#include "llama-cpp.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace qvl {

// Tokens of any sequences, to be computed together.
class TokenBatch {
  public:
    // Returns the index of the token's logits.
    int add(const SequenceItem & item, int sequence, bool logits);
    size_t size() const { return tokens_.size(); }
    bool of_one_sequence() const;

  private:
    friend class Decoder;
    std::vector<llama_token> tokens_;
    std::vector<llama_pos> positions_;
    std::vector<llama_seq_id> sequences_;
    std::vector<int8_t> outputs_;
};

class Decoder {
  public:
    // Most tokens with logits in a batch, beyond one for each sequence that runs: room for guesses.
    static constexpr int kMostGuesses = 16;

    // What became of a batch. Unless it is Done, the memory of its sequences holds parts of it.
    enum class Outcome { Done, NoRoom, Aborted, Failed };

    // Throws Error OUT_OF_MEMORY when the context cannot be made.
    Decoder(const EngineParams & params, std::shared_ptr<const Model> model, int threads);

    llama_context * get() const { return ctx_.get(); }
    const Model & model() const { return *model_; }
    // Sequences that the KV memory tells apart: those that run, and caches.
    int sequences() const { return sequences_; }
    // nullptr: the model has none, or it was not asked for.
    MtpHead * head() const { return head_.get(); }
    // Most tokens of a batch.
    int batch_size() const { return static_cast<int>(llama_n_batch(ctx_.get())); }

    // What is decoded next is computed with these scales of the model's adapters.
    void use_adapters(const std::vector<float> & scales);
    // `abort`, if there is one, is asked between graph nodes on a CPU.
    Outcome decode(TokenBatch & batch, const std::function<bool()> & abort);
    // Rows [begin, end) of a picture or pair of frames, whose rows are [count × width].
    Outcome decode_rows(const ImageSegment & image, const std::vector<float> & rows, size_t begin, size_t end,
                        int sequence, const std::function<bool()> & abort);
    // Why the last batch Failed.
    const class Error & failure() const { return *failure_; }

    // Waits until a GPU has computed what was decoded, so that times are true.
    void synchronize() { llama_synchronize(ctx_.get()); }
    // Logits of a token of the last batch, [vocabulary]. Valid until the next batch.
    float * logits(int index) { return llama_get_logits_ith(ctx_.get(), index); }
    // With a head: the last hidden row of a token, or of a picture's row. Of several sequences those with logits alone.
    const float * hidden(int index) { return MtpHead::row(ctx_.get(), index); }

  private:
    Outcome run(llama_batch & batch, std::vector<llama_seq_id> & sequences, const std::function<bool()> & abort);

    struct ThreadPoolDeleter {
        void operator()(ggml_threadpool * pool) const;
    };

    std::shared_ptr<const Model> model_;
    int sequences_;
    const std::function<bool()> * abort_ = nullptr;
    std::unique_ptr<class Error> failure_;
    std::unique_ptr<ggml_threadpool, ThreadPoolDeleter> threads_;
    llama_context_ptr ctx_;
    std::unique_ptr<MtpHead> head_;
};

}  // namespace qvl
