// Copies of a recurrent state. Unlike KV cells such a state (Qwen3.5's linear attention) cannot be cut back to an earlier
// token: without a copy made there, a prompt that differs at its end would be computed from its beginning.
#pragma once

#include "model.h"
#include "sequence.h"

#include "llama-cpp.h"

#include <cstdint>
#include <vector>

namespace qvl {

class Checkpoints {
  public:
    explicit Checkpoints(const Model & model);

    // Chooses where copies are made while `prompt` is decoded: after its pictures, so that other questions about them
    // are quick, and before its last control token, from where on the next turn may differ (thoughts are left out).
    void plan(const std::vector<SequenceItem> & prompt);
    // The next place after `items`, at which a batch has to end.
    size_t next_place(size_t items) const;
    // Copies the state if `items`, all that it has seen, are a place.
    void save(llama_context * ctx, size_t items);
    // Goes back to the latest copy that has seen at most `items`; returns how many. A model without such a state: all.
    size_t restore(llama_context * ctx, size_t items);
    // Forgets copies that have seen more than `items`.
    void truncate(size_t items);

  private:
    struct Checkpoint {
        size_t items;
        std::vector<uint8_t> state;
    };

    const bool needed_;
    const llama_vocab * vocab_;
    std::vector<size_t> places_;      // ascending
    std::vector<Checkpoint> copies_;  // ascending
};

}  // namespace qvl
