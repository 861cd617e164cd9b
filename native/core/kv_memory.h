// The KV memory of one context: what each sequence holds, what sequences share, and what is forgotten first. A sequence
// that nobody uses stays as a cache until its room is needed. Used by the engine thread only.
#pragma once

#include "checkpoints.h"
#include "model.h"
#include "mtp_head.h"
#include "sequence.h"
#include "state_file.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace qvl {

struct KvShape {
    int sequences;
    int32_t cells;
    // True: one memory for all sequences, which may share cells. False: each has `cells` of its own, and only what was
    // computed in the same batches is reused, so that an answer does not depend on what ran beside it.
    bool unified;
};

class KvMemory {
  public:
    // `head`: nullptr, or what has a memory of the same sequences.
    KvMemory(llama_context * ctx, const Model & model, KvShape shape, MtpHead * head = nullptr);

    // Takes a sequence for `prompt`, with as much of it as any sequence holds. At least one item is left to compute, so
    // that there are logits.
    int open(const std::vector<SequenceItem> & prompt);
    // Adds what other sequences have of `prompt` by now.
    void catch_up(int id, const std::vector<SequenceItem> & prompt);
    // The sequence stays as a cache.
    void close(int id);

    const Sequence & at(int id) const { return slot(id).sequence; }
    // Where a batch has to end that begins behind `items` of the sequence.
    size_t next_place(int id, size_t items) const { return slot(id).checkpoints.next_place(items); }
    // Another prompt will part from this one behind `items`.
    void expect_branch(int id, size_t items);

    // A part of the picture that comes next was computed: what the sequence holds is more than its items.
    void begin_picture(int id, int32_t position) { slot(id).sequence.begin_picture(position); }
    // The item was computed, to its end.
    void append(int id, const SequenceItem & item);
    // A batch of the prompt ended with the last item.
    void end_batch(int id);
    // What was computed at `position` and after it is not to be trusted, or not wanted. Fewer items may be left than
    // were before `position`: a recurrent state cannot be cut.
    void drop_from(int id, int32_t position);

    // True if what is computed between `begin_guess` and `end_guess` can be taken back.
    bool can_guess(int id) const { return !recurrent_ || kept_state(id) < static_cast<int>(llama_n_seq_max(ctx_)); }
    void begin_guess(int id);
    // Of a recurrent state, what is right is taken back with what is wrong: the items are computed again.
    void end_guess(int id, bool all_right);

    // What some sequence holds of `prompt`, to be restored in another context. Nothing if that cannot be taken out.
    std::optional<StoredSequence> store(const std::vector<SequenceItem> & prompt);
    // Makes it a cache, or puts it in the place of what an open sequence has. False if there is no room for it now, or it
    // is of another context than it says; the sequence is then empty.
    bool restore(const StoredSequence & stored);
    bool restore_into(int id, const StoredSequence & stored);

    // Cells that `prompt` would take beyond those that are there already.
    int32_t cells_for(const std::vector<SequenceItem> & prompt) const;
    int32_t cells() const { return shape_.cells * (shape_.unified ? 1 : shape_.sequences); }
    int32_t free_cells() const { return cells() - *used_; }
    // Forgets the cache that was not used for the longest time. False if there is none.
    bool forget_oldest();
    // Forgets everything, the bytes too: a NaN in a dropped cell would still reach what is computed beside it.
    void clear();

    int32_t used_cells() const { return *used_; }
    int cached_sequences() const;

  private:
    struct Slot {
        Sequence sequence;
        Checkpoints checkpoints;
        bool open = false;
        uint64_t used_at = 0;
        size_t guessed_from = 0;  // with a recurrent state
    };
    struct Source {
        int id = -1;
        size_t items = 0;
    };

    Slot & slot(int id) { return slots_[static_cast<size_t>(id)]; }
    const Slot & slot(int id) const { return slots_[static_cast<size_t>(id)]; }
    // Items of `prompt` that can be taken from this sequence.
    size_t usable(const Slot & from, const std::vector<SequenceItem> & prompt) const;
    Source best_source(const std::vector<SequenceItem> & prompt, int except) const;
    int oldest_closed(int except) const;
    void copy(int from, int to, size_t items);
    void cut(int id, size_t items);
    void forget(int id);
    std::vector<uint8_t> state_of(int id, size_t items);
    // The sequence that holds nothing but the state of `id` before its guesses: llama.cpp lets sequences share a state until
    // one of them goes on.
    int kept_state(int id) const { return shape_.sequences + id; }

    llama_context * ctx_;
    llama_memory_t memory_;
    MtpHead * head_;
    const llama_vocab * vocab_;
    const bool recurrent_;  // has a state that cannot be cut
    const KvShape shape_;
    // A sequence for copies whose state is taken: llama.cpp leaves out those with numbers that it was not sized for.
    const bool has_scratch_;
    std::shared_ptr<int32_t> used_ = std::make_shared<int32_t>(0);
    std::vector<Slot> slots_;
    uint64_t clock_ = 0;
};

}  // namespace qvl
