// The head for multi-token prediction that some models have: one more layer, which guesses the token after the next from
// the decoder's last hidden row and the next token. It has a KV memory of its own, of the same sequences. What it has not
// seen (pictures, prompts that were computed beside others or elsewhere) makes it guess worse, never an answer wrong. Used
// by the engine thread only.
#pragma once

#include "model.h"
#include "params.h"
#include "sequence.h"

#include "ggml-cpu.h"
#include "llama-cpp.h"

#include <vector>

namespace qvl {

// What may follow one sequence.
struct Draft {
    int sequence;
    const std::vector<SequenceItem> * items;  // the last one is still to be computed
    size_t most;
    std::vector<int32_t> tokens = {};
};

class MtpHead {
  public:
    // Throws Error OUT_OF_MEMORY when its context cannot be made.
    MtpHead(llama_context_params options, const Model & model, ggml_threadpool * threads);

    // Of the next batch of a context: the hidden rows of all tokens, or (masked) of those with logits. A row is valid until
    // then.
    static void want_rows(llama_context * ctx, bool masked);
    static const float * row(llama_context * ctx, int index);

    // The decoder computed items [first, first + rows.size()) of a sequence: their hidden rows.
    void learn(int sequence, const std::vector<SequenceItem> & items, size_t first,
               const std::vector<const float *> & rows);
    // Fills in tokens as long as it is surer than not.
    void guess(std::vector<Draft> & drafts);

    // What KvMemory does with the decoder's.
    void copy(int from, int to, size_t items, int32_t position);
    void cut(int sequence, size_t items, int32_t position);
    void clear();

  private:
    // Tokens with the hidden rows before them, of any sequences.
    struct Pairs {
        std::vector<llama_token> tokens;
        std::vector<llama_pos> positions;
        std::vector<llama_seq_id> sequences;
        std::vector<float> rows;

        size_t size() const { return tokens.size(); }
        void add(int sequence, int32_t token, int32_t position, const float * row, size_t width);
        void append(const Pairs & other);
    };
    struct Track {
        size_t next = 0;  // the first item that it has not seen
        Pairs waiting;    // seen, not computed: the last one with the next guess
    };

    Track & track(int sequence) { return tracks_[static_cast<size_t>(sequence)]; }
    void compute_waiting(int sequence);
    bool compute(Pairs & pairs, const std::vector<int> & outputs);
    int32_t likeliest(int index) const;

    const Model & model_;
    llama_context_ptr ctx_;
    llama_memory_t memory_;
    const size_t width_;
    std::vector<Track> tracks_;
};

}  // namespace qvl
