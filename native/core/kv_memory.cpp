#include "kv_memory.h"

#include <algorithm>

namespace qvl {

namespace {

constexpr int kScratch = 0;

}  // namespace

KvMemory::KvMemory(llama_context * ctx, const Model & model, KvShape shape, MtpHead * head)
    : ctx_(ctx), memory_(llama_get_memory(ctx)), head_(head), vocab_(model.vocab()), recurrent_(model.has_state()),
      shape_(shape), has_scratch_(shape.sequences > static_cast<int>(llama_n_seq_max(ctx))),
      slots_(static_cast<size_t>(shape.sequences)) {
    slot(kScratch).open = has_scratch_;
}

int KvMemory::open(const std::vector<SequenceItem> & prompt) {
    const Source source = best_source(prompt, -1);
    const int free_id = oldest_closed(source.id);
    int id = source.id;
    if (source.items == 0) {
        id = free_id >= 0 ? free_id : source.id;
        forget(id);
    } else if (!slot(id).open && (source.items == at(id).size() || !shape_.unified || free_id < 0)) {
        cut(id, source.items);
    } else {
        id = free_id;
        forget(id);
        copy(source.id, id, source.items);
    }
    slot(id).open = true;
    if (recurrent_) {
        slot(id).checkpoints.plan(prompt, vocab_);
    }
    return id;
}

void KvMemory::catch_up(int id, const std::vector<SequenceItem> & prompt) {
    const Source source = best_source(prompt, id);
    if (shape_.unified && source.items > at(id).size()) {
        forget(id);  // what both computed is held once
        copy(source.id, id, source.items);
    }
}

void KvMemory::close(int id) {
    slot(id).open = false;
    slot(id).used_at = ++clock_;
    if (head_ != nullptr) {  // it may have seen more
        head_->cut(id, at(id).size(), at(id).position_after(at(id).size()));
    }
}

void KvMemory::expect_branch(int id, size_t items) {
    if (recurrent_) {
        slot(id).checkpoints.add_place(items);
    }
}

void KvMemory::append(int id, const SequenceItem & item) {
    slot(id).sequence.append(item, std::make_shared<Cells>(item.cells, used_));
}

void KvMemory::end_batch(int id) {
    slot(id).sequence.end_batch();
    if (recurrent_) {
        slot(id).checkpoints.save(ctx_, id, at(id).size());
    }
}

void KvMemory::drop_from(int id, int32_t position) {
    const auto & items = at(id).items();
    size_t keep = items.size();
    while (keep > 0 && items[keep - 1].position >= position) {
        keep--;
    }
    if (recurrent_) {
        keep = slot(id).checkpoints.latest(keep);
        if (keep == 0 || !slot(id).checkpoints.restore(ctx_, id, keep)) {
            forget(id);
            return;
        }
        position = std::min(position, at(id).position_after(keep));
    }
    llama_memory_seq_rm(memory_, id, position, -1);
    slot(id).sequence.truncate(keep);
    slot(id).checkpoints.truncate(keep);
    if (head_ != nullptr) {
        head_->cut(id, keep, position);
    }
}

void KvMemory::begin_guess(int id) {
    if (recurrent_) {
        slot(id).guessed_from = at(id).size();
        const int32_t end = at(id).position_after(at(id).size());
        llama_memory_seq_cp(memory_, id, kept_state(id), end, end + 1);  // no cells: there are none
    }
}

void KvMemory::end_guess(int id, bool all_right) {
    if (!recurrent_) {
        drop_from(id, at(id).position_after(at(id).size()));
        return;
    }
    if (!all_right) {
        slot(id).sequence.truncate(slot(id).guessed_from);
        const int32_t end = at(id).position_after(at(id).size());
        llama_memory_seq_cp(memory_, kept_state(id), id, end, end + 1);
        llama_memory_seq_rm(memory_, id, end, -1);
    }
    llama_memory_seq_rm(memory_, kept_state(id), -1, -1);
}

std::optional<StoredSequence> KvMemory::store(const std::vector<SequenceItem> & prompt) {
    size_t items = 0;
    int id = -1;
    for (int each = 0; each < shape_.sequences; each++) {
        const size_t common = at(each).cut_at(common_prefix(at(each).items(), prompt));
        const bool whole = common == at(each).size() && !at(each).in_picture();
        if (common > items && (has_scratch_ || whole)) {
            id = each;
            items = common;
        }
    }
    if (id < 0) {
        return std::nullopt;
    }
    StoredSequence stored;
    stored.items.assign(at(id).items().begin(), at(id).items().begin() + static_cast<std::ptrdiff_t>(items));
    for (size_t i = 1; i <= items; i++) {
        stored.batch_ends.push_back(at(id).batch_ended_at(i));
    }
    stored.copies = slot(id).checkpoints.copies();
    stored.state = state_of(id, items);
    return stored.state.empty() ? std::nullopt : std::make_optional(std::move(stored));
}

// Empty if it fails.
std::vector<uint8_t> KvMemory::state_of(int id, size_t items) {
    const int from = has_scratch_ ? kScratch : id;
    if (has_scratch_) {
        llama_memory_seq_cp(memory_, id, from, 0, at(id).position_after(items));
    }
    std::vector<uint8_t> state(llama_state_seq_get_size(ctx_, from));
    const bool whole = llama_state_seq_get_data(ctx_, state.data(), state.size(), from) == state.size();
    if (has_scratch_) {
        llama_memory_seq_rm(memory_, from, -1, -1);
    }
    return whole ? state : std::vector<uint8_t>();
}

bool KvMemory::restore(const StoredSequence & stored) {
    for (const auto & each : slots_) {
        if (common_prefix(each.sequence.items(), stored.items) == stored.items.size()) {
            return true;
        }
    }
    const int id = oldest_closed(-1);
    if (id < 0 || !restore_into(id, stored)) {
        return false;
    }
    close(id);
    return true;
}

bool KvMemory::restore_into(int id, const StoredSequence & stored) {
    const int64_t cells = cells_between(stored.items, 0, stored.items.size());
    forget(id);
    if (cells > shape_.cells) {
        return false;
    }
    while (free_cells() < cells) {
        if (!forget_oldest()) {
            return false;
        }
    }
    if (llama_state_seq_set_data(ctx_, stored.state.data(), stored.state.size(), id) != stored.state.size() ||
        llama_memory_seq_pos_max(memory_, id) != stored.items.back().position) {
        forget(id);
        return false;
    }
    for (size_t i = 0; i < stored.items.size(); i++) {
        append(id, stored.items[i]);
        if (stored.batch_ends[i]) {
            slot(id).sequence.end_batch();
        }
    }
    slot(id).checkpoints.take(stored.copies);
    return true;
}

int32_t KvMemory::cells_for(const std::vector<SequenceItem> & prompt) const {
    return static_cast<int32_t>(cells_between(prompt, best_source(prompt, -1).items, prompt.size()));
}

bool KvMemory::forget_oldest() {
    int oldest = -1;
    for (int id = 0; id < shape_.sequences; id++) {
        if (!slot(id).open && at(id).size() > 0 && (oldest < 0 || slot(id).used_at < slot(oldest).used_at)) {
            oldest = id;
        }
    }
    if (oldest >= 0) {
        forget(oldest);
    }
    return oldest >= 0;
}

void KvMemory::clear() {
    llama_memory_clear(memory_, /*data*/ true);
    if (head_ != nullptr) {
        head_->clear();
    }
    for (auto & each : slots_) {
        each.sequence.truncate(0);
        each.checkpoints.truncate(0);
    }
}

int KvMemory::cached_sequences() const {
    return static_cast<int>(std::count_if(slots_.begin(), slots_.end(),
                                          [](const Slot & each) { return !each.open && each.sequence.size() > 0; }));
}

size_t KvMemory::usable(const Slot & from, const std::vector<SequenceItem> & prompt) const {
    const size_t common = common_prefix(from.sequence.items(), prompt);
    size_t items = std::min(common, prompt.empty() ? 0 : prompt.size() - 1);
    if (items == from.sequence.size() && shape_.unified && !from.sequence.in_picture()) {
        return items;
    }
    if (recurrent_ && !shape_.unified) {
        return 0;  // where its batches end depends on the rest of its prompt
    }
    items = from.sequence.cut_at(items);
    if (recurrent_) {
        items = from.checkpoints.latest(items);
    }
    while (!shape_.unified && !from.sequence.batch_ended_at(items)) {
        items--;
    }
    return items;
}

KvMemory::Source KvMemory::best_source(const std::vector<SequenceItem> & prompt, int except) const {
    Source best;
    for (int id = 0; id < shape_.sequences; id++) {
        const Slot & each = slot(id);
        if (id == except || (each.open && !shape_.unified)) {
            continue;
        }
        const size_t items = usable(each, prompt);
        // Of equal ones, one that ends there can be taken over without a copy.
        const bool ends = !each.open && items == each.sequence.size();
        if (items > best.items || (items > 0 && items == best.items && ends)) {
            best = {id, items};
        }
    }
    return best;
}

int KvMemory::oldest_closed(int except) const {
    int oldest = -1;
    for (int id = 0; id < shape_.sequences; id++) {
        if (id == except || slot(id).open) {
            continue;
        }
        if (at(id).size() == 0) {
            return id;
        }
        if (oldest < 0 || slot(id).used_at < slot(oldest).used_at) {
            oldest = id;
        }
    }
    return oldest;
}

// `to` is empty.
void KvMemory::copy(int from, int to, size_t items) {
    Slot & source = slot(from);
    source.used_at = ++clock_;
    llama_memory_seq_cp(memory_, from, to, 0, at(from).position_after(items));
    slot(to).sequence.share(source.sequence, items);
    if (recurrent_) {
        slot(to).checkpoints.share(source.checkpoints, items);
        // The copy has the state of the source, which may have seen more.
        const bool more = items < source.sequence.size() || source.sequence.in_picture();
        if (more && !slot(to).checkpoints.restore(ctx_, to, items)) {
            forget(to);
            return;
        }
    }
    if (head_ != nullptr) {
        head_->copy(from, to, items, at(from).position_after(items));
    }
}

void KvMemory::cut(int id, size_t items) {
    if (items < at(id).size()) {
        drop_from(id, at(id).position_after(items));
    }
}

void KvMemory::forget(int id) {
    llama_memory_seq_rm(memory_, id, -1, -1);
    slot(id).sequence.truncate(0);
    slot(id).checkpoints.truncate(0);
    if (head_ != nullptr) {
        head_->cut(id, 0, 0);
    }
}

}  // namespace qvl
