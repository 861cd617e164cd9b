#include "sampler.h"

#include "check.h"

using namespace qvl;

namespace {

constexpr int32_t kWord = 1, kEnd = 2, kClose = 3;

// What is written when the model always likes `likes` best.
std::vector<int32_t> written(ThoughtParams thought, int32_t likes, int n) {
    SamplingParams params{0.0f, 0, 1.0f, 0.0f, 1.0f, 0.0f, 0.0f, 0};
    params.thought = std::move(thought);
    Sampler sampler(params, nullptr);
    std::vector<int32_t> tokens;
    for (int i = 0; i < n; i++) {
        std::vector<float> logits(5, 0.0f);
        logits[static_cast<size_t>(likes)] = 1.0f;
        tokens.push_back(sampler.sample(logits.data(), static_cast<int32_t>(logits.size())));
    }
    return tokens;
}

}  // namespace

TEST(a_thought_over_its_budget_is_closed_once) {
    const ThoughtParams thought{2, kEnd, {kClose, kEnd}};
    CHECK(written(thought, kWord, 6) == (std::vector<int32_t>{kWord, kWord, kClose, kEnd, kWord, kWord}));
}

TEST(no_budget_closes_at_once) {
    const ThoughtParams thought{0, kEnd, {kEnd}};
    CHECK(written(thought, kWord, 3) == (std::vector<int32_t>{kEnd, kWord, kWord}));
}

TEST(a_thought_that_ends_in_time_is_left_alone) {
    const ThoughtParams thought{2, kEnd, {kClose, kEnd}};
    CHECK(written(thought, kEnd, 4) == (std::vector<int32_t>{kEnd, kEnd, kEnd, kEnd}));
}

TEST(without_a_thought_nothing_is_forced) {
    CHECK(written({}, kWord, 3) == (std::vector<int32_t>{kWord, kWord, kWord}));
}

int main() {
    return check::run();
}
