#include "prompt_lookup.h"

#include <algorithm>

namespace qvl {

void PromptLookup::push(int32_t token) {
    if (has_gram()) {
        followers_[latest_gram()] = tokens_.size();
    }
    const bool goes_on = repeated_ > 0 && token >= 0 && tokens_[next_] == token;
    repeated_ = goes_on ? repeated_ + 1 : 0;
    next_++;
    tokens_.push_back(token);
    if (goes_on || !has_gram()) {
        return;
    }
    if (const auto found = followers_.find(latest_gram()); found != followers_.end()) {
        repeated_ = kGram;
        next_ = found->second;
    }
}

std::vector<int32_t> PromptLookup::guess(size_t room) const {
    std::vector<int32_t> guessed;
    const size_t most = repeated_ == 0 ? 0 : std::min({most_, room, repeated_ - 1});
    for (size_t i = next_; guessed.size() < most; i++) {
        // Behind the end it goes on with itself, as a text does that repeats itself.
        const int32_t token = i < tokens_.size() ? tokens_[i] : guessed[i - tokens_.size()];
        if (token < 0) {
            break;
        }
        guessed.push_back(token);
    }
    return guessed;
}

bool PromptLookup::has_gram() const {
    return tokens_.size() >= kGram &&
           std::all_of(tokens_.end() - kGram, tokens_.end(), [](int32_t token) { return token >= 0; });
}

// Ids have less than 21 bits.
uint64_t PromptLookup::latest_gram() const {
    uint64_t gram = 0;
    std::for_each(tokens_.end() - kGram, tokens_.end(),
                  [&](int32_t token) { gram = gram << 21 | static_cast<uint64_t>(token); });
    return gram;
}

}  // namespace qvl
