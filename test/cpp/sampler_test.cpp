#include "sampler.h"

#include "check.h"

#include <cmath>

using namespace qvl;

namespace {

const SamplingParams kGreedy{0.0f, 0, 1.0f, 0.0f, 1.0f, 0.0f, 0.0f, 0};

SamplingParams random(uint32_t seed) {
    SamplingParams params = kGreedy;
    params.temperature = 1.0f;
    params.seed = seed;
    return params;
}

int32_t next(Sampler & sampler, std::vector<float> logits) {
    return sampler.sample(logits.data(), static_cast<int32_t>(logits.size()));
}

std::vector<int32_t> draw(const SamplingParams & params, const std::vector<float> & logits, int n) {
    Sampler sampler(params, nullptr);
    std::vector<int32_t> tokens;
    for (int i = 0; i < n; i++) {
        tokens.push_back(next(sampler, logits));
    }
    return tokens;
}

double share(const std::vector<int32_t> & tokens, int32_t token) {
    double n = 0;
    for (const int32_t drawn : tokens) {
        n += drawn == token ? 1 : 0;
    }
    return n / static_cast<double>(tokens.size());
}

const std::vector<float> kSixThreeOne{std::log(0.6f), std::log(0.3f), std::log(0.1f)};

}  // namespace

TEST(greedy_takes_the_likeliest_and_of_equals_the_first) {
    Sampler sampler(kGreedy, nullptr);
    CHECK_EQ(next(sampler, {1, 3, 2}), 1);
    CHECK_EQ(next(sampler, {1, 3, 3}), 1);
}

TEST(greedy_finds_the_likeliest_wherever_it_is) {
    std::vector<float> logits(2500);
    for (size_t i = 0; i < logits.size(); i++) {
        logits[i] = -static_cast<float>(i % 7) - 1;
    }
    for (size_t i = 0; i < logits.size(); i++) {
        Sampler sampler(kGreedy, nullptr);
        auto copy = logits;
        copy[i] = copy[std::min(i + 1, logits.size() - 1)] = 1;
        CHECK_EQ(next(sampler, std::move(copy)), static_cast<int32_t>(i));
    }
    Sampler sampler(kGreedy, nullptr);
    CHECK_EQ(next(sampler, std::vector<float>(2500, -INFINITY)), 0);
}

TEST(a_bias_is_added_to_the_logit_of_its_token) {
    SamplingParams params = kGreedy;
    params.bias = {{1, -100.0f}, {0, 0.5f}};
    Sampler sampler(params, nullptr);
    CHECK_EQ(next(sampler, {1.7f, 3, 2}), 0);
    CHECK_EQ(next(sampler, {1.4f, 3, 2}), 2);
    SamplingParams sampled = random(1);
    sampled.bias = {{2, 100.0f}};
    CHECK_EQ(share(draw(sampled, kSixThreeOne, 50), 2), 1.0);
}

TEST(top_k_of_one_is_greedy_at_any_temperature) {
    SamplingParams params = random(7);
    params.temperature = 100.0f;
    params.top_k = 1;
    CHECK_EQ(share(draw(params, kSixThreeOne, 50), 0), 1.0);
}

TEST(tokens_are_drawn_by_their_probability) {
    const auto tokens = draw(random(1), kSixThreeOne, 20000);
    CHECK(std::fabs(share(tokens, 0) - 0.6) < 0.02);
    CHECK(std::fabs(share(tokens, 1) - 0.3) < 0.02);
    CHECK(std::fabs(share(tokens, 2) - 0.1) < 0.02);
}

TEST(the_temperature_divides_the_logits) {
    SamplingParams params = random(1);
    params.temperature = 0.5f;  // probabilities squared: 36 : 9 : 1
    const auto tokens = draw(params, kSixThreeOne, 20000);
    CHECK(std::fabs(share(tokens, 0) - 36.0 / 46) < 0.02);
    CHECK(std::fabs(share(tokens, 1) - 9.0 / 46) < 0.02);
}

TEST(the_same_seed_draws_the_same) {
    CHECK(draw(random(3), kSixThreeOne, 100) == draw(random(3), kSixThreeOne, 100));
    CHECK(draw(random(3), kSixThreeOne, 100) != draw(random(4), kSixThreeOne, 100));
}

TEST(top_k_top_p_and_min_p_leave_out_the_unlikely) {
    SamplingParams top_k = random(1);
    top_k.top_k = 2;
    CHECK_EQ(share(draw(top_k, kSixThreeOne, 1000), 2), 0.0);
    CHECK(share(draw(top_k, kSixThreeOne, 1000), 1) > 0);

    SamplingParams top_p = random(1);
    top_p.top_p = 0.8f;  // 0.6 is not enough, 0.6 + 0.3 is
    CHECK_EQ(share(draw(top_p, kSixThreeOne, 1000), 2), 0.0);
    CHECK(share(draw(top_p, kSixThreeOne, 1000), 1) > 0);

    SamplingParams min_p = random(1);
    min_p.min_p = 0.4f;  // of 0.6: below 0.24 is left out
    CHECK_EQ(share(draw(min_p, kSixThreeOne, 1000), 2), 0.0);
    CHECK(share(draw(min_p, kSixThreeOne, 1000), 1) > 0);
}

TEST(the_repetition_penalty_counts_the_prompt) {
    SamplingParams params = kGreedy;
    params.repetition_penalty = 2.0f;
    Sampler positive(params, nullptr);
    positive.accept_prompt(0);
    CHECK_EQ(next(positive, {3, 2}), 1);  // 3 / 2 < 2
    Sampler negative(params, nullptr);
    negative.accept_prompt(0);
    CHECK_EQ(next(negative, {-1, -1.5f}), 1);  // -1 × 2 < -1.5
    Sampler answer(params, nullptr);
    CHECK_EQ(next(answer, {3, 2}), 0);
    CHECK_EQ(next(answer, {3, 2}), 1);  // its own token counts too
}

TEST(presence_and_frequency_penalties_count_the_answer_only) {
    SamplingParams presence = kGreedy;
    presence.presence_penalty = 1.0f;
    Sampler once(presence, nullptr);
    once.accept_prompt(0);
    CHECK_EQ(next(once, {2, 1.5f}), 0);
    CHECK_EQ(next(once, {2, 1.5f}), 1);  // 2 - 1 < 1.5
    CHECK_EQ(next(once, {2, 1.5f}), 0);  // both were seen: once each, however often

    SamplingParams frequency = kGreedy;
    frequency.frequency_penalty = 0.3f;
    Sampler often(frequency, nullptr);
    CHECK_EQ(next(often, {2, 1.5f}), 0);
    CHECK_EQ(next(often, {2, 1.5f}), 0);  // 2 - 0.3
    CHECK_EQ(next(often, {2, 1.5f}), 1);  // 2 - 0.6 < 1.5
}

TEST(log_probabilities_are_of_the_whole_vocabulary) {
    const std::vector<float> logits{1, 3, 2, 100};  // large values must not overflow
    const TokenLogprob all = logprob_of(logits.data(), 4, 2, 4);
    CHECK_EQ(all.chosen.token, 2);
    CHECK_EQ(all.top.size(), 4u);
    CHECK_EQ(all.top[0].token, 3);
    CHECK_EQ(all.top[3].token, 0);
    double sum = 0;
    for (const TokenChance & chance : all.top) {
        sum += std::exp(static_cast<double>(chance.logprob));
    }
    CHECK(std::fabs(sum - 1) < 1e-6);
    CHECK_EQ(all.top[2].token, 2);
    CHECK_EQ(all.chosen.logprob, all.top[2].logprob);
    CHECK_EQ(logprob_of(logits.data(), 4, 0, 0).top.size(), 0u);
    CHECK_EQ(logprob_of(logits.data(), 4, 0, 99).top.size(), 4u);
}

int main() {
    return check::run();
}
