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

void Checkpoints::plan(const std::vector<SequenceItem> & prompt, const llama_vocab * vocab) {
    places_.clear();
    size_t last_control = 0;
    for (size_t i = 1; i < prompt.size(); i++) {
        const bool text = prompt[i].token >= 0;
        // Not between frames of a video: their positions may be equal, and cells are cut by position.
        if (text && prompt[i - 1].token < 0) {
            places_.push_back({i, true});
        }
        if (text && llama_vocab_is_control(vocab, prompt[i].token)) {
            last_control = i;
        }
    }
    if (last_control > (places_.empty() ? 0 : places_.back().items)) {
        places_.push_back({last_control, false});
    }
    if (places_.size() > kMostCopies) {
        places_.erase(places_.begin(), places_.end() - kMostCopies);
    }
}

void Checkpoints::add_place(size_t items) {
    const auto place =
        std::find_if(places_.begin(), places_.end(), [items](const Place & p) { return p.items >= items; });
    if (place == places_.end() || place->items != items) {
        places_.insert(place, {items, false});
    }
}

size_t Checkpoints::next_place(size_t items) const {
    const auto place =
        std::find_if(places_.begin(), places_.end(), [items](const Place & p) { return p.items > items; });
    return place == places_.end() ? std::numeric_limits<size_t>::max() : place->items;
}

void Checkpoints::save(llama_context * ctx, llama_seq_id id, size_t items) {
    const auto place =
        std::find_if(places_.begin(), places_.end(), [items](const Place & p) { return p.items == items; });
    if (place == places_.end()) {
        return;
    }
    truncate(items - 1);
    if (copies_.size() == kMostCopies) {
        const auto passing = std::find_if(copies_.begin(), copies_.end(), [](const Copy & c) { return !c.lasting; });
        copies_.erase(passing != copies_.end() ? passing : copies_.begin());
    }
    try {
        std::vector<uint8_t> state(llama_state_seq_get_size_ext(ctx, id, kStateOnly));
        if (llama_state_seq_get_data_ext(ctx, state.data(), state.size(), id, kStateOnly) == state.size()) {
            copies_.push_back({items, place->lasting, std::make_shared<const std::vector<uint8_t>>(std::move(state))});
        }
    } catch (const std::bad_alloc &) {
        copies_.clear();  // they only save time
    }
}

size_t Checkpoints::latest(size_t items) const {
    size_t seen = 0;
    for (const auto & copy : copies_) {
        seen = copy.items <= items ? copy.items : seen;
    }
    return seen;
}

bool Checkpoints::restore(llama_context * ctx, llama_seq_id id, size_t items) const {
    const auto found =
        std::find_if(copies_.begin(), copies_.end(), [items](const Copy & copy) { return copy.items == items; });
    return found != copies_.end() && llama_state_seq_set_data_ext(ctx, found->state->data(), found->state->size(), id,
                                                                  kStateOnly) == found->state->size();
}

void Checkpoints::share(const Checkpoints & other, size_t items) {
    copies_ = other.copies_;
    truncate(items);
}

void Checkpoints::truncate(size_t items) {
    const auto keeps = [items](const Copy & copy) { return copy.items <= items; };
    copies_.erase(std::find_if_not(copies_.begin(), copies_.end(), keeps), copies_.end());
}

}  // namespace qvl
