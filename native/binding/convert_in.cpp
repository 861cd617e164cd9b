// JavaScript to core.
#include "convert.h"
#include "error.h"
#include "request.h"

#include <cmath>
#include <cstring>
#include <limits>

namespace qvl {

namespace {

constexpr int64_t kMaxSide = 65536;
constexpr double kMaxInt = std::numeric_limits<int32_t>::max();

[[noreturn]] void refuse(const std::string & name, const std::string & expected) {
    throw Error("INVALID_ARGUMENT", "Expected `" + name + "` to be " + expected + ".");
}

double number(const Napi::Object & object, const char * name) {
    const Napi::Value value = object.Get(name);
    if (!value.IsNumber()) {
        refuse(name, "a number");
    }
    return value.As<Napi::Number>().DoubleValue();
}

template <typename T = int>
T integer(const Napi::Object & object, const char * name, double least, double most) {
    const double value = number(object, name);
    if (!(value >= least && value <= most) || value != std::floor(value)) {
        refuse(name, "an integer from " + std::to_string(static_cast<int64_t>(least)) + " to " +
                         std::to_string(static_cast<int64_t>(most)));
    }
    return static_cast<T>(value);
}

float real(const Napi::Object & object, const char * name) {
    const double value = number(object, name);
    if (!std::isfinite(value)) {
        refuse(name, "a finite number");
    }
    return static_cast<float>(value);
}

std::string text(const Napi::Object & object, const char * name) {
    const Napi::Value value = object.Get(name);
    if (!value.IsString()) {
        refuse(name, "a string");
    }
    return value.As<Napi::String>().Utf8Value();
}

// A detached array has length 0 and fails the length checks of the callers. Memory that another thread may write is
// refused.
void check_array(const Napi::Value & value, napi_typedarray_type type, const char * name, const char * expected) {
    if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != type) {
        refuse(name, expected);
    }
    if (!value.As<Napi::Object>().Get("buffer").IsArrayBuffer()) {
        refuse(name, std::string(expected) + " over memory of its own, not a SharedArrayBuffer");
    }
}

// Copies the elements of a typed array.
template <typename T>
std::vector<T> elements(const Napi::Value & value, napi_typedarray_type type, const char * name,
                        const char * expected) {
    check_array(value, type, name, expected);
    const auto array = value.As<Napi::TypedArrayOf<T>>();
    return {array.Data(), array.Data() + array.ElementLength()};
}

Keep where_kept(const Napi::Object & object) {
    const std::string name = text(object, "cache");
    if (name != "none" && name != "memory" && name != "disk") {
        refuse("cache", "'none', 'memory' or 'disk'");
    }
    return name == "none" ? Keep::none : name == "memory" ? Keep::memory : Keep::disk;
}

std::vector<std::string> texts(const Napi::Object & object, const char * name) {
    const Napi::Value value = object.Get(name);
    if (!value.IsArray()) {
        refuse(name, "an array of strings");
    }
    const auto array = value.As<Napi::Array>();
    std::vector<std::string> found;
    for (uint32_t i = 0; i < array.Length(); i++) {
        const Napi::Value item = array.Get(i);
        if (!item.IsString() || item.As<Napi::String>().Utf8Value().empty()) {
            refuse(name, "an array of strings that are not empty");
        }
        found.push_back(item.As<Napi::String>().Utf8Value());
    }
    return found;
}

std::vector<int32_t> integers(const Napi::Object & object, const char * name) {
    return elements<int32_t>(object.Get(name), napi_int32_array, name, "an Int32Array");
}

// What is wanted of a picture beside its identity.
enum class Wanted { pixels, pixels_and_positions, positions };

ImageSegment image(const Napi::Object & object, Wanted wanted) {
    ImageSegment segment;
    segment.count = integer(object, "count", 1, 1 << 24);
    segment.hash = text(object, "hash");
    if (wanted != Wanted::pixels) {
        segment.order = object.Has("order") ? integer(object, "order", 0, 1 << 16) : 0;
        segment.positions = integers(object, "positions");
        if (segment.positions.size() != static_cast<size_t>(segment.count) * 3) {
            refuse("positions", "an Int32Array of 3 × count elements");
        }
    }
    if (wanted == Wanted::positions) {
        return segment;
    }
    if (object.Has("embedding")) {
        segment.embedding = elements<float>(object.Get("embedding"), napi_float32_array, "embedding", "a Float32Array");
        if (segment.embedding.empty() || segment.embedding.size() % static_cast<size_t>(segment.count) != 0) {
            refuse("embedding", "a Float32Array of count × width elements");
        }
        return segment;
    }
    segment.cache = where_kept(object);
    segment.width = integer(object, "width", 1, kMaxSide);
    segment.height = integer(object, "height", 1, kMaxSide);
    segment.frames = object.Has("frames") ? integer(object, "frames", 1, 2) : 1;
    const Napi::Value pixels = object.Get("pixels");
    // Frames lie one below the other.
    check_pixels(pixels, segment.width, int64_t{segment.height} * segment.frames, "pixels");
    segment.pixels = elements<uint8_t>(pixels, napi_uint8_array, "pixels", "a Uint8Array");
    return segment;
}

Segment segment(const Napi::Value & value, Wanted of_picture) {
    if (!value.IsObject()) {
        refuse("segments", "an array of objects");
    }
    const auto object = value.As<Napi::Object>();
    if (object.Has("tokens")) {
        return TextSegment{integers(object, "tokens"), integer(object, "position", 0, 1 << 30)};
    }
    return image(object, of_picture);
}

std::vector<Segment> segments(const Napi::Object & object, Wanted of_pictures) {
    const Napi::Value value = object.Get("segments");
    if (!value.IsArray()) {
        refuse("segments", "an array");
    }
    const auto array = value.As<Napi::Array>();
    std::vector<Segment> found;
    for (uint32_t i = 0; i < array.Length(); i++) {
        found.push_back(segment(array.Get(i), of_pictures));
    }
    return found;
}

std::vector<float> scales(const Napi::Object & object) {
    return elements<float>(object.Get("adapters"), napi_float32_array, "adapters", "a Float32Array");
}

ThoughtParams thought(const Napi::Value & value) {
    if (value.IsUndefined()) {
        return {};
    }
    if (!value.IsObject()) {
        refuse("thought", "an object");
    }
    const auto object = value.As<Napi::Object>();
    ThoughtParams params{integer(object, "budget", 0, kMaxInt), integer(object, "end", 0, kMaxInt),
                         integers(object, "closing")};
    if (params.closing.empty()) {
        refuse("closing", "tokens that close the thought");
    }
    return params;
}

std::vector<std::pair<int32_t, float>> bias(const Napi::Object & object) {
    const auto tokens = integers(object, "biasedTokens");
    const auto values = elements<float>(object.Get("biases"), napi_float32_array, "biases", "a Float32Array");
    if (values.size() != tokens.size()) {
        refuse("biases", "one for each of `biasedTokens`");
    }
    std::vector<std::pair<int32_t, float>> pairs;
    for (size_t i = 0; i < tokens.size(); i++) {
        pairs.emplace_back(tokens[i], values[i]);
    }
    return pairs;
}

GenerateParams generate(const Napi::Object & object) {
    GenerateParams params{};
    params.segments = segments(object, Wanted::pixels_and_positions);
    params.position = integer(object, "position", 0, 1 << 30);
    params.max_tokens = integer(object, "maxTokens", 0, kMaxInt);
    params.stop_tokens = integers(object, "stopTokens");
    params.stop = texts(object, "stop");
    params.logprobs = integer(object, "logprobs", -1, kMaxInt);
    params.pad_token = integer(object, "padToken", -1, kMaxInt);
    params.adapters = scales(object);
    params.sampling = {real(object, "temperature"),
                       integer(object, "topK", 0, kMaxInt),
                       real(object, "topP"),
                       real(object, "minP"),
                       real(object, "repetitionPenalty"),
                       real(object, "presencePenalty"),
                       real(object, "frequencyPenalty"),
                       integer<uint32_t>(object, "seed", 0, std::numeric_limits<uint32_t>::max()),
                       text(object, "grammar"),
                       thought(object.Get("thought")),
                       bias(object)};
    params.speculate = integer(object, "speculate", 0, kMaxInt);
    if (params.sampling.repetition_penalty <= 0) {
        refuse("repetitionPenalty", "above 0");
    }
    return params;
}

constexpr double kMaxSafeInteger = 9007199254740991.0;

RequestParams request_params(const Napi::Object & object) {
    const std::string kind = text(object, "kind");
    if (kind == "encode") {
        return EncodeParams{image(object, Wanted::pixels)};
    }
    if (kind == "saveState") {
        return SaveStateParams{segments(object, Wanted::positions), scales(object), text(object, "path"),
                               text(object, "identity")};
    }
    if (kind == "restoreState") {
        return RestoreStateParams{text(object, "path"), integer<uint64_t>(object, "offset", 0, kMaxSafeInteger),
                                  text(object, "identity")};
    }
    return generate(object);
}

}  // namespace

void check_pixels(const Napi::Value & value, int64_t width, int64_t height, const char * name) {
    if (width < 1 || height < 1 || width > kMaxSide || height > kMaxSide) {
        refuse("width and height", "from 1 to " + std::to_string(kMaxSide));
    }
    check_array(value, napi_uint8_array, name, "a Uint8Array");
    const auto needed = static_cast<uint64_t>(width) * static_cast<uint64_t>(height) * 3;
    const size_t length = value.As<Napi::Uint8Array>().ByteLength();
    if (length != needed) {
        refuse(name, "a Uint8Array of width × height × 3 = " + std::to_string(needed) + " bytes (it has " +
                         std::to_string(length) + ")");
    }
}

EngineParams engine_params(const Napi::Object & object) {
    EngineParams params{};
    params.model = text(object, "model");
    params.mmproj = text(object, "mmproj");
    params.adapters = texts(object, "adapters");
    params.context_size = integer(object, "contextSize", 1, 1 << 24);
    params.batch_size = integer(object, "batchSize", 1, 1 << 16);
    params.threads = integer(object, "threads", 0, 512);
    params.gpu_layers = integer(object, "gpuLayers", -1, 1 << 16);
    params.flash_attention = text(object, "flashAttention");
    params.cache_type = text(object, "cacheType");
    params.mmap = object.Get("mmap").ToBoolean();
    params.exact_encoder = text(object, "encoderPrecision") == "exact";
    params.parallel = integer(object, "parallel", 1, 256);
    params.deterministic = object.Get("deterministic").ToBoolean();
    params.step_ms = integer(object, "stepMs", 1, 60000);
    params.log = object.Get("log").ToBoolean();
    params.mtp = object.Get("mtp").ToBoolean();
    constexpr double kMostBytes = 1LL << 50;
    params.cache.memory_bytes = integer<uint64_t>(object, "cacheBytes", 0, kMostBytes);
    params.cache.folder = text(object, "cacheDir");
    params.cache.folder_bytes = integer<uint64_t>(object, "cacheDirBytes", 0, kMostBytes);
    params.cache.encoder = text(object, "encoderIdentity");
    params.cache.prompts = text(object, "promptIdentity");
    return params;
}

std::shared_ptr<Request> request(const Napi::Object & object) {
    const auto id = integer<int64_t>(object, "id", 1, kMaxSafeInteger);
    const int priority = integer(object, "priority", -1000000, 1000000);
    return std::make_shared<Request>(id, request_params(object), priority);
}

}  // namespace qvl
