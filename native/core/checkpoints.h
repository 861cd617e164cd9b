// Copies of a sequence's recurrent state. Unlike KV cells such a state (Qwen3.5's linear attention) cannot be cut back to
// an earlier token: without a copy made there, a prompt that differs at its end would be computed from its beginning.
#pragma once

#include "sequence.h"

#include "llama-cpp.h"

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace qvl {

class Checkpoints {
  public:
    struct Copy {
        size_t items;
        bool lasting;
        std::shared_ptr<const std::vector<uint8_t>> state;  // sequences that share a prefix share its copies
    };

    // Chooses where copies are made while `prompt` is decoded: after its pictures, so that other questions about them
    // are quick, and before its last control token, from where on the next turn may differ (thoughts are left out).
    void plan(const std::vector<SequenceItem> & prompt, const llama_vocab * vocab);
    // One more place: where another prompt parts from this one.
    void add_place(size_t items);
    // The next place after `items`, at which a batch has to end.
    size_t next_place(size_t items) const;
    // Copies the state of sequence `id` if `items`, all that it has seen, are a place.
    void save(llama_context * ctx, llama_seq_id id, size_t items);
    // Items that the latest copy has seen that saw at most `items`; 0: there is none.
    size_t latest(size_t items) const;
    // Gives sequence `id` the state of the copy that has seen `items`. False if there is none or it fails.
    bool restore(llama_context * ctx, llama_seq_id id, size_t items) const;
    // Takes over the copies of `other` that have seen at most `items`.
    void share(const Checkpoints & other, size_t items);
    // Forgets copies that have seen more than `items`.
    void truncate(size_t items);

    const std::vector<Copy> & copies() const { return copies_; }
    // Those of another context; the places are planned anew.
    void take(std::vector<Copy> copies) { copies_ = std::move(copies); }

  private:
    struct Place {
        size_t items;
        bool lasting;  // behind a picture: other questions about it come back here, however long the chat became
    };

    std::vector<Place> places_;  // ascending
    std::vector<Copy> copies_;   // ascending
};

}  // namespace qvl
