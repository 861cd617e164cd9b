// What the engine tells its owner. Per request the order is kept and the last event is exactly one End or RequestError.
#pragma once

#include "params.h"
#include "sampler.h"

#include <cstdint>
#include <functional>
#include <string>
#include <variant>
#include <vector>

namespace qvl {

struct ControlToken {
    int32_t id;
    std::string text;
};

struct EngineInfo {
    int context_size;
    int train_context_size;
    int vocab_size;
    int embedding_width;
    bool uses_mrope;
    bool has_vision;
    std::vector<int32_t> end_tokens;
    std::vector<ControlToken> control_tokens;
    std::string decoder_device;
    std::string encoder_device;
    std::string encoder_weights;  // type of most of them
    bool has_head;                // for multi-token prediction, loaded
    int threads;
    uint64_t model_bytes;
    uint64_t parameters;
    std::string description;
};

struct Timings {
    double queue_ms = 0;
    double encode_ms = 0;
    double prefill_ms = 0;
    double generate_ms = 0;
};

struct LoadProgress {
    double progress;
};
struct Ready {
    EngineInfo info;
};
struct LoadFailed {
    std::string code;
    std::string message;
    std::string detail;
};
struct Closed {};
// Something is amiss that stops nothing.
struct Warning {
    std::string code;
    std::string message;
};
// A line that llama.cpp logged.
struct LogLine {
    const char * level;
    std::string text;
};
// Where the embedding of a picture came from: `kv` nowhere, for its KV cells were reused; `caller` with the request.
enum class Source { encoder, memory, disk, kv, caller };

struct ImageEncoded {
    int index;
    double encode_ms;
    Source source;
};
struct EmbeddingReady {
    SharedRows rows;
    double encode_ms;
};
// Tokens of a prompt whose computed state is in a file now, or back from one; 0: none.
struct StateKept {
    int32_t tokens;
    uint64_t bytes;  // that were written
};
struct TextDelta {
    std::string text;
    std::vector<int32_t> tokens;
    std::vector<TokenLogprob> logprobs;
};
struct End {
    std::string reason;  // "stop", "length", "cancelled"
    int prompt_tokens = 0;
    int cached_tokens = 0;
    int completion_tokens = 0;
    int guessed_tokens = 0;   // computed ahead
    int accepted_tokens = 0;  // of these, the ones that became part of the answer
    Timings timings;
};
struct RequestError {
    std::string code;
    std::string message;
    std::string detail;
};

struct Event {
    int64_t request;  // -1: the engine itself
    std::variant<LoadProgress, Ready, LoadFailed, Closed, Warning, LogLine, ImageEncoded, EmbeddingReady, StateKept,
                 TextDelta, End, RequestError>
        body;
};

// Called from the engine's threads (and for cancelled queued requests from the caller's). Must not block or throw.
using EventSink = std::function<void(Event)>;

}  // namespace qvl
