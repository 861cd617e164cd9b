#include "mtp_head.h"

#include "error.h"
#include "log.h"

#include "llama-ext.h"  // upstream's staging area: no public header has what a head needs

#include <algorithm>
#include <cmath>
#include <exception>

namespace qvl {

namespace {

// A guess below this is wrong more often than right.
constexpr double kSure = 0.5;
// Of a sequence, while nobody asks for guesses: rows take memory.
constexpr size_t kMostWaiting = 32;

}  // namespace

MtpHead::MtpHead(llama_context_params options, const Model & model, ggml_threadpool * threads)
    : model_(model), width_(static_cast<size_t>(llama_model_n_embd_out(model.get()))), tracks_(options.n_seq_max) {
    LogTail tail;
    options.ctx_type = LLAMA_CONTEXT_TYPE_MTP;
    options.n_batch = std::max(options.n_batch, options.n_seq_max * static_cast<uint32_t>(kMostWaiting + 1));
    options.n_outputs_max = options.n_seq_max;
    options.abort_callback = nullptr;
    ctx_.reset(llama_init_from_model(model.get(), options));
    if (!ctx_) {
        throw Error("OUT_OF_MEMORY",
                    "There was no memory for the head that guesses tokens. Use a smaller `contextSize`, or load "
                    "without `mtp`.",
                    tail.text());
    }
    memory_ = llama_get_memory(ctx_.get());
    want_rows(ctx_.get(), /*masked*/ true);
    if (threads != nullptr) {
        llama_attach_threadpool(ctx_.get(), threads, nullptr);
    }
}

void MtpHead::want_rows(llama_context * ctx, bool masked) {
    llama_set_embeddings_nextn(ctx, true, masked);
}

const float * MtpHead::row(llama_context * ctx, int index) {
    return llama_get_embeddings_nextn_ith(ctx, index);
}

void MtpHead::learn(int sequence, const std::vector<SequenceItem> & items, size_t first,
                    const std::vector<const float *> & rows) {
    Track & seen = track(sequence);
    for (size_t i = 0; i < rows.size() && first + i + 1 < items.size(); i++) {
        const SequenceItem & next = items[first + i + 1];
        if (first + i + 1 >= seen.next && next.token >= 0) {
            seen.waiting.add(sequence, next.token, next.position, rows[i], width_);
            seen.next = first + i + 2;
        }
    }
    if (seen.waiting.size() > kMostWaiting) {
        compute_waiting(sequence);
    }
}

// All but the last one.
void MtpHead::compute_waiting(int sequence) {
    Pairs & waiting = track(sequence).waiting;
    const size_t all = waiting.size() - 1;
    const size_t most = llama_n_batch(ctx_.get());
    bool good = true;
    for (size_t begin = 0; begin < all && good; begin += most) {
        Pairs some;
        for (size_t i = begin; i < std::min(begin + most, all); i++) {
            some.add(sequence, waiting.tokens[i], waiting.positions[i], &waiting.rows[i * width_], width_);
        }
        good = compute(some, {});
    }
    Pairs last;
    last.add(sequence, waiting.tokens[all], waiting.positions[all], &waiting.rows[all * width_], width_);
    waiting = std::move(last);
}

void MtpHead::guess(std::vector<Draft> & drafts) {
    Pairs pairs;
    std::vector<Draft *> asked;
    std::vector<int> outputs;
    for (Draft & draft : drafts) {
        Track & seen = track(draft.sequence);
        if (draft.most > 0 && seen.next == draft.items->size() && seen.waiting.size() > 0) {
            pairs.append(seen.waiting);
            seen.waiting = {};
            asked.push_back(&draft);
            outputs.push_back(static_cast<int>(pairs.size()) - 1);
        }
    }
    while (!asked.empty() && compute(pairs, outputs)) {
        Pairs next;
        std::vector<Draft *> sure;
        std::vector<int> ends;
        for (size_t i = 0; i < asked.size(); i++) {
            Draft & draft = *asked[i];
            const int32_t token = likeliest(outputs[i]);
            if (token < 0) {
                continue;
            }
            draft.tokens.push_back(token);
            if (draft.tokens.size() < draft.most) {
                const int32_t position = draft.items->back().position + static_cast<int32_t>(draft.tokens.size());
                next.add(draft.sequence, token, position, row(ctx_.get(), outputs[i]), width_);
                sure.push_back(&draft);
                ends.push_back(static_cast<int>(next.size()) - 1);
            }
        }
        pairs = std::move(next);
        asked = std::move(sure);
        outputs = std::move(ends);
    }
    for (const Draft & draft : drafts) {  // it has seen none of them yet
        llama_memory_seq_rm(memory_, draft.sequence, draft.items->back().position + 1, -1);
    }
}

// -1: none that it is sure of, or one that ends the answer, which saves nothing.
int32_t MtpHead::likeliest(int index) const {
    const float * logits = llama_get_logits_ith(ctx_.get(), index);
    const float * best = std::max_element(logits, logits + llama_vocab_n_tokens(model_.vocab()));
    double sum = 0;
    for (const float * each = logits; each < logits + llama_vocab_n_tokens(model_.vocab()); each++) {
        sum += std::exp(*each - *best);
    }
    const auto token = static_cast<int32_t>(best - logits);
    return sum * kSure < 1 && !model_.is_end(token) ? token : -1;
}

// False: what it has of these sequences is gone.
bool MtpHead::compute(Pairs & pairs, const std::vector<int> & outputs) {
    std::vector<int32_t> counts(pairs.size(), 1);
    std::vector<llama_seq_id *> ids;
    for (auto & id : pairs.sequences) {
        ids.push_back(&id);
    }
    std::vector<int8_t> wanted(pairs.size(), 0);
    for (const int index : outputs) {
        wanted[static_cast<size_t>(index)] = 1;
    }
    llama_batch batch{};
    batch.n_tokens = static_cast<int32_t>(pairs.size());
    batch.token = pairs.tokens.data();
    batch.embd = pairs.rows.data();
    batch.pos = pairs.positions.data();
    batch.n_seq_id = counts.data();
    batch.seq_id = ids.data();
    batch.logits = wanted.data();
    bool good = false;
    try {
        good = llama_decode(ctx_.get(), batch) == 0;
    } catch (const std::exception &) {  // reserving compute buffers throws through the C API
        good = false;
    }
    for (size_t i = 0; i < pairs.size() && !good; i++) {
        llama_memory_seq_rm(memory_, pairs.sequences[i], -1, -1);
    }
    return good;
}

void MtpHead::copy(int from, int to, size_t items, int32_t position) {
    cut(to, 0, 0);
    llama_memory_seq_cp(memory_, from, to, 0, position);
    track(to).next = std::min(items, track(from).next);
}

void MtpHead::cut(int sequence, size_t items, int32_t position) {
    Track & seen = track(sequence);
    if (items < seen.next) {
        llama_memory_seq_rm(memory_, sequence, position, -1);
        seen.next = items;
        seen.waiting = {};
    }
}

void MtpHead::clear() {
    llama_memory_clear(memory_, /*data*/ true);
    std::fill(tracks_.begin(), tracks_.end(), Track());
}

void MtpHead::Pairs::add(int sequence, int32_t token, int32_t position, const float * row, size_t width) {
    tokens.push_back(token);
    positions.push_back(position);
    sequences.push_back(sequence);
    rows.insert(rows.end(), row, row + width);
}

void MtpHead::Pairs::append(const Pairs & other) {
    tokens.insert(tokens.end(), other.tokens.begin(), other.tokens.end());
    positions.insert(positions.end(), other.positions.begin(), other.positions.end());
    sequences.insert(sequences.end(), other.sequences.begin(), other.sequences.end());
    rows.insert(rows.end(), other.rows.begin(), other.rows.end());
}

}  // namespace qvl
