// A GBNF grammar that the answer must follow, token by token.
#pragma once

#include "llama-cpp.h"

#include <cstdint>
#include <string>
#include <vector>

namespace qvl {

class Grammar {
  public:
    // Throws Error INVALID_ARGUMENT if `text` is no grammar.
    Grammar(const std::string & text, const llama_vocab * vocab);

    bool allows(int32_t token) const;
    // Gives every token of `logits` [n] that may not come next the value -infinity. Throws Error INVALID_ARGUMENT if none
    // is left: the grammar asks for what the vocabulary cannot spell.
    void restrict(float * logits, int32_t n);
    // `token` was chosen; it has to be allowed.
    void accept(int32_t token);

  private:
    llama_sampler_ptr sampler_;
    std::vector<llama_token_data> candidates_;
};

}  // namespace qvl
