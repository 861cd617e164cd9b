#include "grammar.h"

#include "error.h"
#include "log.h"

#include <cmath>

namespace qvl {

Grammar::Grammar(const std::string & text, const llama_vocab * vocab) {
    const LogTail log;
    sampler_.reset(llama_sampler_init_grammar(vocab, text.c_str(), "root"));
    if (!sampler_) {
        throw Error("INVALID_ARGUMENT",
                    "`grammar` is not a GBNF grammar with a rule `root` and without left recursion: " + log.text());
    }
}

bool Grammar::allows(int32_t token) const {
    llama_token_data candidate{token, 0.0f, 0.0f};
    llama_token_data_array array{&candidate, 1, -1, false};
    llama_sampler_apply(sampler_.get(), &array);
    return !std::isinf(candidate.logit);
}

void Grammar::restrict(float * logits, int32_t n) {
    candidates_.resize(static_cast<size_t>(n));
    for (int32_t id = 0; id < n; id++) {
        candidates_[static_cast<size_t>(id)] = {id, logits[id], 0.0f};
    }
    llama_token_data_array array{candidates_.data(), candidates_.size(), -1, false};
    llama_sampler_apply(sampler_.get(), &array);
    bool any = false;
    for (const auto & candidate : candidates_) {
        logits[candidate.id] = candidate.logit;
        any = any || !std::isinf(candidate.logit);
    }
    if (!any) {
        throw Error("INVALID_ARGUMENT",
                    "`grammar` allows no token of this model's vocabulary at this point of the answer.");
    }
}

void Grammar::accept(int32_t token) {
    llama_sampler_accept(sampler_.get(), token);
}

}  // namespace qvl
