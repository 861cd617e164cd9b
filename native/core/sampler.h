// Chooses the next token from logits. One per request.
#pragma once

#include "grammar.h"
#include "params.h"
#include "thought.h"

#include "llama-cpp.h"

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace qvl {

struct TokenChance {
    int32_t token;
    float logprob;
    std::string bytes = {};  // what it adds to the answer; left to who knows the vocabulary
};
struct TokenLogprob {
    TokenChance chosen;
    std::vector<TokenChance> top;
};

class Sampler {
  public:
    // Throws Error INVALID_ARGUMENT for a grammar that is none.
    Sampler(const SamplingParams & params, const llama_vocab * vocab);

    // Prompt tokens count for the repetition penalty (as in transformers), not for presence and frequency (as in vLLM).
    void accept_prompt(int32_t token) { seen_.insert(token); }
    // Chooses from `logits` [n], which it may change, and remembers the choice; a thought over its budget leaves none. Throws Error INVALID_ARGUMENT for a grammar
    // that this vocabulary cannot follow.
    int32_t sample(float * logits, int32_t n);

  private:
    void penalise(float * logits) const;
    int32_t choose(float * logits, int32_t n);

    SamplingParams params_;
    std::unordered_set<int32_t> seen_;
    std::unordered_map<int32_t, int> generated_;
    llama_sampler_ptr chain_;  // empty: greedy
    std::optional<Grammar> grammar_;
    Thought thought_;
    std::vector<llama_token_data> candidates_;
};

// Log-softmax of the raw logits at `token`, and the `n` best tokens.
TokenLogprob logprob_of(const float * logits, int32_t n_vocab, int32_t token, int n);

}  // namespace qvl
