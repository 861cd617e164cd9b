#include "generation.h"

#include "adapter.h"

#include <algorithm>
#include <cmath>

namespace qvl {

namespace {

constexpr int kMostUnread = 256;
// One that is being computed and one that is encoded meanwhile: rows take tens of megabytes.
constexpr int kEncodedAhead = 2;

}  // namespace

Generation::Generation(std::shared_ptr<Request> request, const Model & model, Encoder * encoder, int context_size,
                       const EventSink & emit)
    : request_(std::move(request)), params_(std::get<GenerateParams>(request_->params)), model_(model),
      encoder_(encoder), context_size_(context_size), emit_(emit), adapter_set_(adapters_identity(params_.adapters)),
      items_(Sequence::flatten(params_.segments)), prompt_size_(items_.size()),
      sampler_(params_.sampling, model.vocab()), output_(params_.stop) {
    for (auto & item : items_) {
        cells_ += item.cells;
        item.adapters = adapter_set_;
    }
    prompt_tokens_ = cells_;
    check();
    for (const auto & item : items_) {
        const int32_t token = item.token >= 0 ? item.token : params_.pad_token;
        if (token >= 0) {
            sampler_.accept_prompt(token);
        }
    }
    if (params_.speculate > 0 && !(model.has_state() && !model.has_head())) {  // a state cannot forget a wrong guess
        lookup_.emplace(static_cast<size_t>(params_.speculate));
        for (const auto & item : items_) {
            lookup_->push(item.token);
        }
    }
}

Generation::~Generation() {
    for (const auto & [item, rows] : rows_) {
        encoder_->drop(rows.encoding);
    }
}

void Generation::check() const {
    if (items_.empty()) {
        throw Error("INVALID_ARGUMENT", "The prompt is empty. Give at least one message with text or a picture.");
    }
    if (items_.back().token < 0) {
        throw Error("INVALID_ARGUMENT", "The prompt ends with a picture. Text must follow it.");
    }
    check_ids();
    for (const auto & segment : params_.segments) {
        if (const auto * picture = std::get_if<ImageSegment>(&segment)) {
            check_image(*picture);
        }
    }
    if (cells_ >= context_size_) {
        throw Error("CONTEXT_OVERFLOW",
                    "The prompt has " + std::to_string(cells_) + " tokens, the context holds " +
                        std::to_string(context_size_) +
                        " with room for the answer. Load with a larger `contextSize`, lower `maxPixels` of the "
                        "pictures, or shorten the conversation.");
    }
}

// The sampler writes into the logits at these.
void Generation::check_ids() const {
    const int32_t n_vocab = llama_vocab_n_tokens(model_.vocab());
    const auto has_unknown = [n_vocab](const std::vector<int32_t> & ids) {
        return std::any_of(ids.begin(), ids.end(), [n_vocab](int32_t id) { return id < 0 || id >= n_vocab; });
    };
    for (const auto & segment : params_.segments) {
        const auto * text = std::get_if<TextSegment>(&segment);
        if (text != nullptr && has_unknown(text->tokens)) {
            throw Error("INVALID_ARGUMENT", "A token id of the prompt is not in the model's vocabulary.");
        }
    }
    if (params_.pad_token >= n_vocab) {
        throw Error("INVALID_ARGUMENT", "The picture's token id is not in the model's vocabulary.");
    }
    for (const auto & [token, value] : params_.sampling.bias) {
        if (token < 0 || token >= n_vocab) {
            throw Error("INVALID_ARGUMENT", "`logitBias` has the token id " + std::to_string(token) +
                                                ", the vocabulary those from 0 to " + std::to_string(n_vocab - 1) +
                                                ".");
        }
    }
    if (has_unknown(params_.sampling.thought.closing)) {
        throw Error("INVALID_ARGUMENT", "A token id that closes the thought is not in the model's vocabulary.");
    }
}

void Generation::check_image(const ImageSegment & image) const {
    if (image.embedding.empty()) {
        if (encoder_ == nullptr) {
            throw Error("PROJECTOR_MISSING", "The model was loaded without a projector. Pass `mmproj` to load().");
        }
        return;
    }
    const auto width = static_cast<size_t>(model_.embedding_width());
    if (image.embedding.size() != static_cast<size_t>(image.count) * width) {
        throw Error("INVALID_ARGUMENT", "The embedding of a picture does not have " + std::to_string(width) +
                                            " values a row. Make it with embedImage() of this model.");
    }
    // In the KV memory they would spoil other requests too.
    if (!std::all_of(image.embedding.begin(), image.embedding.end(),
                     [](float value) { return std::isfinite(value); })) {
        throw Error("INVALID_ARGUMENT", "The embedding of a picture has values that are no finite numbers. "
                                        "Make it anew with embedImage().");
    }
}

const ImageSegment & Generation::image(const SequenceItem & item) const {
    return std::get<ImageSegment>(params_.segments[item.segment]);
}

bool Generation::may_be_on_disk() const {
    return std::all_of(params_.segments.begin(), params_.segments.end(), [](const Segment & segment) {
        const auto * picture = std::get_if<ImageSegment>(&segment);
        return picture == nullptr || picture->cache == Keep::disk;
    });
}

void Generation::reached(size_t computed, bool reused) {
    for (; reached_ < computed; reached_++) {
        cached_tokens_ += reused ? items_[reached_].cells : 0;
        if (items_[reached_].token >= 0) {
            continue;
        }
        double encode_ms = 0;
        Source source = reused ? Source::kv : Source::caller;
        if (const auto found = rows_.find(reached_); !reused && found != rows_.end()) {
            const auto & [encoding, joined] = found->second;
            source = joined && encoding->source == Source::encoder ? Source::memory : encoding->source;
            encode_ms = source == Source::encoder ? encoding->encode_ms : 0;
        }
        timings_.encode_ms += encode_ms;
        emit_({request_->id, ImageEncoded{images_++, encode_ms, source}});
    }
}

const std::vector<float> * Generation::rows(size_t item) {
    const ImageSegment & picture = image(items_[item]);
    if (!picture.embedding.empty()) {
        return &picture.embedding;
    }
    const Encoding & encoding = *rows_.at(item).encoding;
    if (!encoding.done) {
        return nullptr;
    }
    if (encoding.error) {
        throw Error(*encoding.error);
    }
    return encoding.rows.get();
}

void Generation::encode_ahead(size_t computed, int urgency) {
    int ahead = 0;
    for (size_t i = computed; i < prompt_size_ && ahead < kEncodedAhead; i++) {
        if (items_[i].token >= 0) {
            continue;
        }
        ahead++;
        if (const auto begun = rows_.find(i); begun != rows_.end()) {
            encoder_->raise(begun->second.encoding, urgency);
        } else if (image(items_[i]).embedding.empty()) {
            bool joined = false;
            auto encoding = encoder_->obtain(request_, image(items_[i]), urgency, joined);
            rows_.emplace(i, Rows{std::move(encoding), joined});
        }
    }
}

void Generation::rows_used(size_t item) {
    if (const auto found = rows_.find(item); found != rows_.end()) {
        encoder_->drop(found->second.encoding);
        rows_.erase(found);
    }
}

void Generation::sample(float * logits, int n_vocab) {
    if (!started()) {
        generating_since_ = Clock::now();
    }
    std::vector<float> raw;
    if (params_.logprobs >= 0) {
        raw.assign(logits, logits + n_vocab);  // before penalties change them
    }
    const int32_t token = sampler_.sample(logits, n_vocab);
    completion_tokens_++;
    TextDelta delta;
    if (is_stop(token)) {
        reason_ = "stop";
    } else {
        delta.text = output_.push(text_of(token));
    }
    delta.tokens.push_back(token);
    if (params_.logprobs >= 0) {
        TokenLogprob & entry = delta.logprobs.emplace_back(logprob_of(raw.data(), n_vocab, token, params_.logprobs));
        entry.chosen.bytes = text_of(token);
        for (TokenChance & other : entry.top) {
            other.bytes = text_of(other.token);
        }
    }
    timings_.generate_ms = milliseconds_since(generating_since_);
    request_->unread++;
    emit_({request_->id, std::move(delta)});
    if (finished()) {
        return;
    }
    if (output_.stopped()) {
        reason_ = "stop";
    } else if (completion_tokens_ == params_.max_tokens || cells_ >= context_size_) {
        reason_ = "length";
    } else {
        const int32_t position = params_.position + completion_tokens_ - 1;
        items_.push_back({token, {}, position, 1, 0, 0, adapter_set_});
        cells_++;
        if (lookup_) {
            lookup_->push(token);
        }
    }
}

std::vector<int32_t> Generation::guess(int room) const {
    const int most = most_guesses(room);
    return lookup_ && most > 0 ? lookup_->guess(static_cast<size_t>(most)) : std::vector<int32_t>{};
}

int Generation::most_guesses(int room) const {
    const int left = params_.max_tokens > 0 ? params_.max_tokens - completion_tokens_ - 1 : room;
    return std::min({room, params_.speculate, left, context_size_ - cells_});
}

void Generation::count_guesses(size_t guessed, size_t right) {
    guessed_tokens_ += static_cast<int>(guessed);
    accepted_tokens_ += static_cast<int>(right);
}

bool Generation::is_stop(int32_t token) const {
    // Behind the last rule a grammar allows ends alone.
    const bool grammar_ends = !params_.sampling.grammar.empty() && model_.is_end(token);
    return grammar_ends ||
           std::find(params_.stop_tokens.begin(), params_.stop_tokens.end(), token) != params_.stop_tokens.end();
}

std::string Generation::text_of(int32_t token) const {
    // Control tokens are shown, since Qwen2-VL writes boxes with them; ends of turn are not.
    return is_stop(token) ? std::string() : model_.piece(token, !model_.is_end(token));
}

bool Generation::parked() const {
    return request_->unread >= kMostUnread;
}

void Generation::fail(const Error & error) {
    reason_ = "failed";
    failure_ = error;
}

void Generation::finish() {
    if (failure_) {
        emit_({request_->id, RequestError{failure_->code(), failure_->message(), failure_->detail()}});
        return;
    }
    if (auto rest = output_.finish(reason_ == "length"); !rest.empty()) {
        emit_({request_->id, TextDelta{std::move(rest), {}, {}}});
    }
    if (!admitted_) {
        timings_.queue_ms = milliseconds_since(request_->submitted);
    }
    emit_({request_->id, End{reason_, prompt_tokens_, cached_tokens_, completion_tokens_, guessed_tokens_,
                             accepted_tokens_, timings_}});
}

void Generation::admitted() {
    if (!admitted_) {  // else it was put aside meanwhile
        admitted_ = true;
        timings_.queue_ms = milliseconds_since(request_->submitted);
    }
}

}  // namespace qvl
