// Guesses what an answer goes on with: what followed when its latest tokens stood in the prompt or in the answer before.
// Right where an answer repeats its prompt (extraction, rewriting), and free where it does not: no second model is asked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace qvl {

class PromptLookup {
  public:
    // Never guesses more than `most` tokens at a time.
    explicit PromptLookup(size_t most) : most_(most) {}

    // The next token of prompt or answer; below 0: something that is no token.
    void push(int32_t token);
    // At most `room` tokens that may follow. Empty if the latest tokens are new; the longer they are the same as before, the
    // more.
    std::vector<int32_t> guess(size_t room) const;

  private:
    static constexpr size_t kGram = 3;  // so many equal tokens are no accident

    bool has_gram() const;
    uint64_t latest_gram() const;

    size_t most_;
    std::vector<int32_t> tokens_;
    std::unordered_map<uint64_t, size_t> followers_;  // of every gram the index behind its latest place
    size_t repeated_ = 0;                             // so many of the latest tokens stood before ...
    size_t next_ = 0;                                 // ... this index too
};

}  // namespace qvl
