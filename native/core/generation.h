// One answer on its way: what is to be computed next, and what the computed logits become. It knows nothing of others.
// Used by the engine thread only.
#pragma once

#include "encoder.h"
#include "event.h"
#include "model.h"
#include "prompt_lookup.h"
#include "request.h"
#include "sampler.h"
#include "sequence.h"
#include "text_output.h"

#include <map>
#include <memory>
#include <optional>
#include <vector>

namespace qvl {

class Generation {
  public:
    // Throws Error INVALID_ARGUMENT, CONTEXT_OVERFLOW or PROJECTOR_MISSING for what could never be answered.
    Generation(std::shared_ptr<Request> request, const Model & model, Encoder * encoder, int context_size,
               const EventSink & emit);
    ~Generation();
    Generation(const Generation &) = delete;
    Generation & operator=(const Generation &) = delete;

    Request & request() const { return *request_; }
    // The prompt and what was generated. All of it has to be computed, the last item with logits.
    const std::vector<SequenceItem> & items() const { return items_; }
    size_t prompt_size() const { return prompt_size_; }
    // The scale of each adapter, and what tells this set from others: what is computed together has the same.
    const std::vector<float> & adapters() const { return params_.adapters; }
    uint64_t adapter_set() const { return adapter_set_; }
    const ImageSegment & image(const SequenceItem & item) const;
    // True unless a picture is not to be kept there.
    bool may_be_on_disk() const;

    // So many items are in the KV memory now; `reused`: others had computed them. Tells of their pictures.
    void reached(size_t computed, bool reused);
    // Begins encoding the next pictures from items_[computed] on.
    void encode_ahead(size_t computed, int urgency);
    // The rows of the picture items_[item], whose encoding was begun, or nullptr while it goes on. Throws the encoder's Error.
    const std::vector<float> * rows(size_t item);
    void rows_used(size_t item);

    // The logits behind the last item: chooses the token that follows, and adds it unless the answer ends. Throws Error.
    void sample(float * logits, int n_vocab);
    // Tokens that may follow the last item, at most `room`: if they are computed with it, they need not be later.
    std::vector<int32_t> guess(int room) const;
    int most_guesses(int room) const;
    bool wants_guesses() const { return params_.speculate > 0; }
    void count_guesses(size_t guessed, size_t right);

    bool finished() const { return !reason_.empty(); }
    bool started() const { return completion_tokens_ > 0; }
    // Nobody has read for long: nothing is computed until that changes.
    bool parked() const;
    void cancel() { reason_ = "cancelled"; }
    // Ends it; `error` is the last that will be heard of it.
    void fail(const Error & error);
    // Emits the rest and the end, or the error.
    void finish();

    void admitted();
    void count_prefill(double ms) { timings_.prefill_ms += ms; }

  private:
    void check() const;
    void check_ids() const;
    void check_image(const ImageSegment & image) const;
    bool is_stop(int32_t token) const;
    // What a generated token adds to the answer; perhaps a part of a UTF-8 sequence.
    std::string text_of(int32_t token) const;
    void emit_text(TextDelta delta);

    struct Rows {
        std::shared_ptr<Encoding> encoding;
        bool joined;
    };

    const std::shared_ptr<Request> request_;
    const GenerateParams & params_;
    const Model & model_;
    Encoder * encoder_;
    const int context_size_;
    const EventSink & emit_;
    const uint64_t adapter_set_;
    std::vector<SequenceItem> items_;
    size_t prompt_size_;
    int32_t cells_ = 0;
    Sampler sampler_;
    TextOutput output_;
    std::optional<PromptLookup> lookup_;
    std::map<size_t, Rows> rows_;  // of pictures that were asked for
    size_t reached_ = 0;           // items, ever
    int images_ = 0;
    std::string reason_;
    std::optional<Error> failure_;
    bool admitted_ = false;
    int prompt_tokens_ = 0;
    int cached_tokens_ = 0;
    int completion_tokens_ = 0;
    int guessed_tokens_ = 0;
    int accepted_tokens_ = 0;
    Timings timings_;
    Clock::time_point generating_since_{};
};

}  // namespace qvl
