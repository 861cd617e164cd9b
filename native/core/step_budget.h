// How many prompt tokens a step may take: many when nobody waits for a token, else as many as the latency target allows at
// the measured speed.
#pragma once

#include <algorithm>

namespace qvl {

class StepBudget {
  public:
    StepBudget(int step_ms, int batch_size) : step_ms_(step_ms), batch_size_(batch_size) {}

    // `beside`: rows of the same step that are no prompt's.
    int tokens(bool somebody_waits, int beside) const {
        if (!somebody_waits) {
            return batch_size_;
        }
        const double affordable = ms_per_token_ > 0 ? step_ms_ / ms_per_token_ : 0;
        const int blocks = static_cast<int>(std::min(affordable, static_cast<double>(batch_size_))) / kBlock;
        const int least = (beside + kLeast + kBlock - 1) / kBlock;
        const int tokens = std::max(blocks, least) * kBlock - beside;
        return std::clamp(tokens, std::min(kLeast, batch_size_), batch_size_);
    }

    // A step computed so many tokens. Small ones tell nothing of the speed: reading the weights is most of them.
    void measured(int tokens, double ms) {
        if (tokens >= std::min(kBlock, batch_size_)) {
            const double now = ms / tokens;
            ms_per_token_ = ms_per_token_ > 0 ? 0.7 * ms_per_token_ + 0.3 * now : now;
        }
    }

  private:
    // Rows that a CPU multiplies together. The rest of a step costs a row nearly twice as much, alone four times.
    static constexpr int kBlock = 16;
    static constexpr int kLeast = 8;

    int step_ms_;
    int batch_size_;
    double ms_per_token_ = 0;
};

}  // namespace qvl
