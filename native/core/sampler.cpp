#include "sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace qvl {

namespace {

// The first of the largest; `values[0]` is a number. Lanes become vector instructions, which std::max_element does not.
int32_t index_of_largest(const float * values, int32_t n) {
    constexpr int32_t kLanes = 16;
    constexpr int32_t kBlock = 64 * kLanes;
    float largest = values[0];
    int32_t block = 0;  // where the first of the largest is
    for (int32_t begin = 0; begin < n; begin += kBlock) {
        const int32_t end = std::min(begin + kBlock, n);
        float lanes[kLanes];
        std::fill_n(lanes, kLanes, largest);
        int32_t i = begin;
        for (; i + kLanes <= end; i += kLanes) {
            for (int32_t lane = 0; lane < kLanes; lane++) {
                lanes[lane] = lanes[lane] < values[i + lane] ? values[i + lane] : lanes[lane];
            }
        }
        float here = *std::max_element(lanes, lanes + kLanes);
        for (; i < end; i++) {
            here = std::max(here, values[i]);
        }
        if (largest < here) {
            largest = here;
            block = begin;
        }
    }
    return static_cast<int32_t>(std::find(values + block, values + n, largest) - values);
}

}  // namespace

Sampler::Sampler(const SamplingParams & params, const llama_vocab * vocab) : params_(params), thought_(params.thought) {
    if (!params.grammar.empty()) {
        grammar_.emplace(params.grammar, vocab);
    }
    if (params.temperature <= 0.0f || params.top_k == 1) {
        return;  // greedy needs no candidates: one pass over the logits
    }
    chain_.reset(llama_sampler_chain_init(llama_sampler_chain_default_params()));
    // top-k first: it does not depend on the temperature and makes the rest cheap.
    if (params.top_k > 0) {
        llama_sampler_chain_add(chain_.get(), llama_sampler_init_top_k(params.top_k));
    }
    llama_sampler_chain_add(chain_.get(), llama_sampler_init_temp(params.temperature));
    llama_sampler_chain_add(chain_.get(), llama_sampler_init_top_p(params.top_p, 1));
    llama_sampler_chain_add(chain_.get(), llama_sampler_init_min_p(params.min_p, 1));
    llama_sampler_chain_add(chain_.get(), llama_sampler_init_dist(params.seed));
}

int32_t Sampler::sample(float * logits, int32_t n) {
    penalise(logits);
    const auto forced = thought_.forced();
    int32_t token = forced ? *forced : choose(logits, n);
    if (grammar_) {
        // Asking for one token is cheap, for the whole vocabulary is not; the model mostly wants what the grammar allows.
        if (!grammar_->allows(token)) {
            grammar_->restrict(logits, n);
            token = choose(logits, n);
        }
        grammar_->accept(token);
    }
    thought_.accept(token);
    if (chain_) {
        llama_sampler_accept(chain_.get(), token);
    }
    seen_.insert(token);
    generated_[token]++;
    return token;
}

int32_t Sampler::choose(float * logits, int32_t n) {
    if (!chain_) {
        return index_of_largest(logits, n);
    }
    candidates_.resize(static_cast<size_t>(n));
    for (int32_t id = 0; id < n; id++) {
        candidates_[static_cast<size_t>(id)] = {id, logits[id], 0.0f};
    }
    llama_token_data_array array{candidates_.data(), candidates_.size(), -1, false};
    llama_sampler_apply(chain_.get(), &array);
    return array.data[array.selected >= 0 ? array.selected : 0].id;
}

void Sampler::penalise(float * logits) const {
    for (const auto & [token, value] : params_.bias) {
        logits[token] += value;
    }
    if (params_.repetition_penalty != 1.0f) {
        for (const int32_t token : seen_) {
            float & logit = logits[token];
            logit = logit > 0 ? logit / params_.repetition_penalty : logit * params_.repetition_penalty;
        }
    }
    if (params_.presence_penalty != 0.0f || params_.frequency_penalty != 0.0f) {
        for (const auto & [token, count] : generated_) {
            logits[token] -= params_.presence_penalty + static_cast<float>(count) * params_.frequency_penalty;
        }
    }
}

TokenLogprob logprob_of(const float * logits, int32_t n_vocab, int32_t token, int n) {
    const float max = *std::max_element(logits, logits + n_vocab);
    double sum = 0;
    for (int32_t i = 0; i < n_vocab; i++) {
        sum += std::exp(static_cast<double>(logits[i] - max));
    }
    const float normaliser = max + static_cast<float>(std::log(sum));
    TokenLogprob result{{token, logits[token] - normaliser}, {}};
    const auto top = static_cast<size_t>(std::clamp(n, 0, n_vocab));
    std::vector<int32_t> order(static_cast<size_t>(n_vocab));
    std::iota(order.begin(), order.end(), 0);
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(top), order.end(),
                      [&](int32_t a, int32_t b) { return logits[a] > logits[b]; });
    for (size_t i = 0; i < top; i++) {
        result.top.push_back({order[i], logits[order[i]] - normaliser});
    }
    return result;
}

}  // namespace qvl
