// Ends the thought of a thinking model once it has spent its tokens.
#pragma once

#include "params.h"

#include <cstdint>
#include <optional>
#include <utility>

namespace qvl {

class Thought {
  public:
    explicit Thought(ThoughtParams params) : params_(std::move(params)), over_(params_.budget < 0) {}

    // The token that has to come next, once the budget is spent.
    std::optional<int32_t> forced() const;
    void accept(int32_t token);

  private:
    ThoughtParams params_;
    bool over_;
    int used_ = 0;
    size_t closed_ = 0;  // tokens of `params_.closing` that were written
};

}  // namespace qvl
