#include "task.h"

#include "error.h"
#include "text_output.h"

#include <algorithm>
#include <cmath>

namespace qvl {

namespace {

void throw_if_cancelled(const TaskContext & context) {
    if (context.cancelled()) {
        throw Error("ABORTED", "The request was cancelled.");
    }
}

class Generation {
  public:
    Generation(Request & request, const TaskContext & context)
        : request_(request), params_(std::get<GenerateParams>(request.params)), context_(context),
          prompt_(Sequence::flatten(params_.segments)), sampler_(params_.sampling, context.model.vocab()),
          output_(params_.stop) {}

    void run() {
        end_.timings.queue_ms = milliseconds_since(request_.submitted);
        try {
            check();
            prefill();
            generate();
        } catch (const Error & error) {
            if (error.code() != "ABORTED") {
                throw;
            }
            end_.reason = "cancelled";
        }
        flush(output_.finish());
        context_.emit({request_.id, std::move(end_)});
    }

  private:
    void check() {
        if (prompt_.empty()) {
            throw Error("INVALID_ARGUMENT", "The prompt is empty. Give at least one message with text or a picture.");
        }
        if (prompt_.back().token < 0) {
            throw Error("INVALID_ARGUMENT", "The prompt ends with a picture. Text must follow it.");
        }
        check_ids();
        check_embeddings();
        int64_t cells = 0;
        for (const auto & item : prompt_) {
            cells += item.cells;
        }
        end_.prompt_tokens = static_cast<int>(cells);
        if (cells >= context_.decoder.context_size()) {
            throw Error("CONTEXT_OVERFLOW",
                        "The prompt has " + std::to_string(cells) + " tokens, the context holds " +
                            std::to_string(context_.decoder.context_size()) +
                            " with room for the answer. Load with a larger `contextSize`, lower `maxPixels` of the "
                            "pictures, or shorten the conversation.");
        }
    }

    // The sampler writes into the logits at these.
    void check_ids() const {
        const int32_t n_vocab = llama_vocab_n_tokens(context_.model.vocab());
        const auto unknown = [n_vocab](int32_t id) { return id >= n_vocab; };
        for (const auto & segment : params_.segments) {
            const auto * text = std::get_if<TextSegment>(&segment);
            if (text != nullptr && std::any_of(text->tokens.begin(), text->tokens.end(),
                                               [&](int32_t id) { return id < 0 || unknown(id); })) {
                throw Error("INVALID_ARGUMENT", "A token id of the prompt is not in the model's vocabulary.");
            }
        }
        if (unknown(params_.pad_token)) {
            throw Error("INVALID_ARGUMENT", "The picture's token id is not in the model's vocabulary.");
        }
        const auto & closing = params_.sampling.thought.closing;
        if (std::any_of(closing.begin(), closing.end(), [&](int32_t id) { return id < 0 || unknown(id); })) {
            throw Error("INVALID_ARGUMENT", "A token id that closes the thought is not in the model's vocabulary.");
        }
    }

    void check_embeddings() const {
        const auto width = static_cast<size_t>(context_.model.embedding_width());
        for (const auto & segment : params_.segments) {
            const auto * image = std::get_if<ImageSegment>(&segment);
            if (image != nullptr && !image->embedding.empty() &&
                image->embedding.size() != static_cast<size_t>(image->count) * width) {
                throw Error("INVALID_ARGUMENT", "The embedding of a picture does not have " + std::to_string(width) +
                                                    " values a row. Make it with embedImage() of this model.");
            }
            // In the KV memory they would spoil later requests too.
            if (image != nullptr && !std::all_of(image->embedding.begin(), image->embedding.end(),
                                                 [](float value) { return std::isfinite(value); })) {
                throw Error("INVALID_ARGUMENT", "The embedding of a picture has values that are no finite numbers. "
                                                "Make it anew with embedImage().");
            }
        }
    }

    void prefill() {
        const size_t kept = context_.decoder.reuse(prompt_);
        end_.cached_tokens = static_cast<int>(context_.decoder.cells());
        int images = 0;
        for (size_t i = 0; i < prompt_.size();) {
            throw_if_cancelled(context_);
            if (prompt_[i].token < 0) {
                const bool cached = i < kept;
                const double encode_ms = cached ? 0 : prefill_image(prompt_[i]);
                context_.emit({request_.id, ImageEncoded{images++, encode_ms, cached}});
                i++;
            } else if (i < kept) {
                i++;
            } else {
                i = prefill_text(i);
            }
        }
        const auto start = Clock::now();
        context_.decoder.synchronize();
        end_.timings.prefill_ms += milliseconds_since(start);
        accept_prompt();
    }

    double prefill_image(const SequenceItem & item) {
        auto & image = std::get<ImageSegment>(params_.segments[item.segment]);
        double encode_ms = 0;
        if (image.embedding.empty()) {
            if (context_.vision == nullptr) {
                throw Error("PROJECTOR_MISSING", "The model was loaded without a projector. Pass `mmproj` to load().");
            }
            const auto start = Clock::now();
            image.embedding = context_.vision->encode(image, context_.cancelled);
            encode_ms = milliseconds_since(start);
            end_.timings.encode_ms += encode_ms;
        }
        const auto start = Clock::now();
        context_.decoder.decode_image(item, image.embedding, image);
        end_.timings.prefill_ms += milliseconds_since(start);
        image.embedding = {};  // tens of megabytes that are no longer needed
        return encode_ms;
    }

    // Decodes one batch of the text run that starts at `begin`; returns the index after it.
    size_t prefill_text(size_t begin) {
        const size_t end = context_.decoder.batch_end(prompt_, begin);
        const auto start = Clock::now();
        context_.decoder.decode_tokens(prompt_, begin, end, end == prompt_.size());
        end_.timings.prefill_ms += milliseconds_since(start);
        return end;
    }

    void accept_prompt() {
        for (const auto & item : prompt_) {
            const int32_t token = item.token >= 0 ? item.token : params_.pad_token;
            if (token >= 0) {
                sampler_.accept_prompt(token);
            }
        }
    }

    void generate() {
        const auto start = Clock::now();
        const int32_t n_vocab = llama_vocab_n_tokens(context_.model.vocab());
        int32_t position = params_.position;
        while (end_.reason.empty()) {
            float * logits = context_.decoder.logits();
            if (std::isnan(logits[0])) {
                context_.decoder.forget();
                throw Error("DECODE_FAILED",
                            "The model computed no numbers (NaN). Its file may be damaged: download it "
                            "again, or try `flashAttention: 'off'` and `cacheType: 'f32'`.");
            }
            std::vector<float> raw;
            if (params_.logprobs >= 0) {
                raw.assign(logits, logits + n_vocab);  // before penalties change them
            }
            const int32_t token = sampler_.sample(logits, n_vocab);
            end_.completion_tokens++;
            TextDelta delta;
            if (is_stop(token)) {
                end_.reason = "stop";
            } else {
                delta.text = output_.push(piece(token));
            }
            delta.tokens.push_back(token);
            if (params_.logprobs >= 0) {
                delta.logprobs.push_back(logprob_of(raw.data(), n_vocab, token, params_.logprobs));
            }
            end_.timings.generate_ms = milliseconds_since(start);
            emit_text(std::move(delta));
            if (!end_.reason.empty()) {
                return;
            }
            if (output_.stopped()) {
                end_.reason = "stop";
            } else if (end_.completion_tokens == params_.max_tokens ||
                       context_.decoder.cells() >= context_.decoder.context_size()) {
                end_.reason = "length";
            } else {
                throw_if_cancelled(context_);
                const std::vector<SequenceItem> next{{token, {}, position, 1, 0, 0}};
                context_.decoder.decode_tokens(next, 0, 1, true);
                position++;
            }
        }
        end_.timings.generate_ms = milliseconds_since(start);
    }

    bool is_stop(int32_t token) const {
        // Behind the last rule a grammar allows ends alone.
        const bool grammar_ends = !params_.sampling.grammar.empty() && context_.model.is_end(token);
        return grammar_ends ||
               std::find(params_.stop_tokens.begin(), params_.stop_tokens.end(), token) != params_.stop_tokens.end();
    }

    // Control tokens are shown, since Qwen2-VL writes boxes with them; ends of turn are not.
    std::string piece(int32_t token) const { return context_.model.piece(token, !context_.model.is_end(token)); }

    void flush(const std::string & text) {
        if (!text.empty()) {
            TextDelta delta;
            delta.text = text;
            context_.emit({request_.id, std::move(delta)});
        }
    }

    void emit_text(TextDelta delta) {
        context_.wait_for_reader(request_);
        request_.unread++;
        context_.emit({request_.id, std::move(delta)});
    }

    Request & request_;
    GenerateParams & params_;
    const TaskContext & context_;
    std::vector<SequenceItem> prompt_;
    Sampler sampler_;
    TextOutput output_;
    End end_;
};

}  // namespace

void run_generate(Request & request, const TaskContext & context) {
    Generation(request, context).run();
}

void run_encode(Request & request, const TaskContext & context) {
    const auto & params = std::get<EncodeParams>(request.params);
    End end;
    end.timings.queue_ms = milliseconds_since(request.submitted);
    end.reason = "stop";
    try {
        throw_if_cancelled(context);
        if (context.vision == nullptr) {
            throw Error("PROJECTOR_MISSING", "The model was loaded without a projector. Pass `mmproj` to load().");
        }
        const auto start = Clock::now();
        auto rows = context.vision->encode(params.image, context.cancelled);
        end.timings.encode_ms = milliseconds_since(start);
        context.emit({request.id, EmbeddingReady{std::move(rows), end.timings.encode_ms}});
    } catch (const Error & error) {
        if (error.code() != "ABORTED") {
            throw;
        }
        end.reason = "cancelled";
    }
    context.emit({request.id, std::move(end)});
}

}  // namespace qvl
