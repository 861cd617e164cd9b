#include "checkpoints.h"

#include <algorithm>
#include <limits>
#include <new>

namespace qvl {

namespace {

// A copy takes 20 MB (0.8B) to 150 MB (27B), whatever the length of the prompt.
constexpr size_t kMostCopies = 4;
constexpr llama_state_seq_flags kStateOnly = LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY;

}  // namespace

Checkpoints::Checkpoints(const Model & model)
    : needed_(llama_model_is_hybrid(model.get()) || llama_model_is_recurrent(model.get())), vocab_(model.vocab()) {}

void Checkpoints::plan(const std::vector<SequenceItem> & prompt) {
    places_.clear();
    if (!needed_) {
        return;
    }
    size_t last_control = 0;
    for (size_t i = 1; i < prompt.size(); i++) {
        const bool text = prompt[i].token >= 0;
        // Not between frames of a video: their positions may be equal, and cells are cut by position.
        if (text && prompt[i - 1].token < 0) {
            places_.push_back(i);
        }
        if (text && llama_vocab_is_control(vocab_, prompt[i].token)) {
            last_control = i;
        }
    }
    if (last_control > (places_.empty() ? 0 : places_.back())) {
        places_.push_back(last_control);
    }
    if (places_.size() > kMostCopies) {
        places_.erase(places_.begin(), places_.end() - kMostCopies);
    }
}

size_t Checkpoints::next_place(size_t items) const {
    const auto place = std::upper_bound(places_.begin(), places_.end(), items);
    return place == places_.end() ? std::numeric_limits<size_t>::max() : *place;
}

void Checkpoints::save(llama_context * ctx, size_t items) {
    if (!std::binary_search(places_.begin(), places_.end(), items)) {
        return;
    }
    truncate(items - 1);
    if (copies_.size() == kMostCopies) {
        copies_.erase(copies_.begin());
    }
    try {
        std::vector<uint8_t> state(llama_state_seq_get_size_ext(ctx, 0, kStateOnly));
        if (llama_state_seq_get_data_ext(ctx, state.data(), state.size(), 0, kStateOnly) == state.size()) {
            copies_.push_back({items, std::move(state)});
        }
    } catch (const std::bad_alloc &) {
        copies_.clear();  // they only save time
    }
}

size_t Checkpoints::restore(llama_context * ctx, size_t items) {
    if (!needed_) {
        return items;
    }
    truncate(items);
    while (!copies_.empty()) {
        const auto & [seen, state] = copies_.back();
        if (llama_state_seq_set_data_ext(ctx, state.data(), state.size(), 0, kStateOnly) == state.size()) {
            return seen;
        }
        copies_.pop_back();
    }
    return 0;
}

void Checkpoints::truncate(size_t items) {
    const auto keeps = [items](const Checkpoint & copy) { return copy.items <= items; };
    copies_.erase(std::find_if_not(copies_.begin(), copies_.end(), keeps), copies_.end());
}

}  // namespace qvl
