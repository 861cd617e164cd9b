#include "thought.h"

namespace qvl {

std::optional<int32_t> Thought::forced() const {
    if (over_ || used_ < params_.budget) {
        return std::nullopt;
    }
    return params_.closing[closed_];
}

void Thought::accept(int32_t token) {
    if (over_) {
        return;
    }
    if (used_ < params_.budget) {
        used_++;
        over_ = token == params_.end;
    } else {
        over_ = ++closed_ == params_.closing.size();
    }
}

}  // namespace qvl
