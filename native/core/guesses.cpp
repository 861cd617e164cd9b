#include "guesses.h"

#include <algorithm>

namespace qvl {

bool Guesses::prompt_done(const Running & run) const {
    const size_t done = memory_.at(run.sequence).size();
    const size_t left = run.generation->items().size() - done;
    // A wrong guess takes back what was right in its step, which may have begun with as much.
    const size_t most = head_ != nullptr && done >= run.generation->prompt_size() ? 2 * (1 + Decoder::kMostGuesses) : 1;
    return run.generation->started() && left > 0 && left <= most;
}

void Guesses::add(std::vector<Part> & parts, int room) const {
    int cells = memory_.free_cells();
    for (const Part & part : parts) {
        cells -= static_cast<int>(part.end - part.begin);
    }
    room = std::min({room, cells, Decoder::kMostGuesses});
    for (Part & part : parts) {
        if (wanted(part, room)) {
            part.guessed = part.run->generation->guess(room);
            room -= static_cast<int>(part.guessed.size());
        }
    }
    if (head_ != nullptr) {
        ask_head(parts, room);
    }
}

bool Guesses::wanted(const Part & part, int room) const {
    const auto & generation = *part.run->generation;
    const int most = generation.most_guesses(room);
    // What is computed again already would be once more: one step with wrong guesses is enough.
    return most > 0 && generation.started() && part.end == generation.items().size() &&
           part.end - part.begin <= 1 + static_cast<size_t>(most) && memory_.can_guess(part.run->sequence);
}

void Guesses::ask_head(std::vector<Part> & parts, int room) const {
    std::vector<Draft> drafts;
    std::vector<Part *> asked;
    for (Part & part : parts) {
        if (part.guessed.empty() && wanted(part, room)) {
            const auto & generation = *part.run->generation;
            const int most = generation.most_guesses(room);
            drafts.push_back({part.run->sequence, &generation.items(), static_cast<size_t>(most)});
            asked.push_back(&part);
            room -= most;
        }
    }
    if (drafts.empty()) {
        return;
    }
    const Baton::Turn turn(baton_, Baton::kDecoder);
    head_->guess(drafts);
    for (size_t i = 0; i < drafts.size(); i++) {
        asked[i]->guessed = std::move(drafts[i].tokens);
    }
}

void Guesses::learn(const std::vector<Part> & parts) const {
    for (const Part & part : parts) {
        const auto & generation = *part.run->generation;
        const bool forgotten = memory_.at(part.run->sequence).size() < part.begin;
        if (head_ == nullptr || !generation.wants_guesses() || forgotten) {
            continue;
        }
        // Of several sequences, only tokens with logits have rows.
        const bool alone = parts.size() == 1;
        const size_t first = alone ? part.begin : part.end - 1;
        std::vector<const float *> rows;
        for (size_t item = first; item < part.end + part.right && (alone || part.logits >= 0); item++) {
            rows.push_back(decoder_.hidden(part.index + static_cast<int>(item - part.begin)));
        }
        head_->learn(part.run->sequence, generation.items(), first, rows);
    }
}

void Guesses::learn_picture(const Running & run, size_t item, int row) const {
    if (head_ != nullptr && run.generation->wants_guesses()) {
        head_->learn(run.sequence, run.generation->items(), item, {decoder_.hidden(row)});
    }
}

}  // namespace qvl
