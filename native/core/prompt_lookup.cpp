#include "prompt_lookup.h"

#include <algorithm>

namespace qvl {

void PromptLookup::push(int32_t token) {
    if (has_gram()) {
        followers_[latest_gram()] = tokens_.size();
    }
    tokens_.push_back(token);
}

std::vector<int32_t> PromptLookup::guess(size_t room) const {
    std::vector<int32_t> guessed;
    const auto found = has_gram() ? followers_.find(latest_gram()) : followers_.end();
    if (found == followers_.end()) {
        return guessed;
    }
    const size_t most = std::min(length_, room);
    for (size_t i = found->second; guessed.size() < most; i++) {
        // Behind the end it goes on with itself, as a text does that repeats itself.
        const int32_t token = i < tokens_.size() ? tokens_[i] : guessed[i - tokens_.size()];
        if (token < 0) {
            break;
        }
        guessed.push_back(token);
    }
    return guessed;
}

void PromptLookup::judge(size_t guessed, size_t right) {
    length_ = right == guessed ? std::min(most_, 2 * length_) : std::max<size_t>(right, 1);
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
