// Core to JavaScript.
#include "convert.h"

#include <algorithm>
#include <cstring>

namespace qvl {

namespace {

template <typename T, typename Items>
Napi::Array array_of(Napi::Env env, const Items & items, T convert) {
    auto array = Napi::Array::New(env, items.size());
    for (size_t i = 0; i < items.size(); i++) {
        const Napi::HandleScope scope(env);
        array.Set(static_cast<uint32_t>(i), convert(items[i]));
    }
    return array;
}

Napi::Array numbers(Napi::Env env, const std::vector<int32_t> & values) {
    return array_of(env, values, [&](int32_t value) { return Napi::Number::New(env, value); });
}

Napi::Object info_object(Napi::Env env, const EngineInfo & info) {
    auto object = Napi::Object::New(env);
    object.Set("contextSize", info.context_size);
    object.Set("trainContextSize", info.train_context_size);
    object.Set("vocabSize", info.vocab_size);
    object.Set("embeddingWidth", info.embedding_width);
    object.Set("usesMrope", info.uses_mrope);
    object.Set("hasVision", info.has_vision);
    object.Set("eogTokens", numbers(env, info.end_tokens));
    object.Set("controlTokens", array_of(env, info.control_tokens, [&](const ControlToken & token) {
                   auto entry = Napi::Object::New(env);
                   entry.Set("id", token.id);
                   entry.Set("text", token.text);
                   return entry;
               }));
    object.Set("decoderDevice", info.decoder_device);
    object.Set("encoderDevice", info.encoder_device);
    object.Set("encoderWeights", info.encoder_weights);
    object.Set("mtp", info.has_head);
    object.Set("threads", info.threads);
    object.Set("modelBytes", static_cast<double>(info.model_bytes));
    object.Set("parameters", static_cast<double>(info.parameters));
    object.Set("description", info.description);
    return object;
}

Napi::Object chance_object(Napi::Env env, const TokenChance & chance) {
    auto object = Napi::Object::New(env);
    object.Set("token", chance.token);
    object.Set("logprob", chance.logprob);
    object.Set("bytes", array_of(env, chance.bytes,
                                 [&](char byte) { return Napi::Number::New(env, static_cast<uint8_t>(byte)); }));
    return object;
}

Napi::Object logprob_object(Napi::Env env, const TokenLogprob & logprob) {
    auto object = chance_object(env, logprob.chosen);
    object.Set("top",
               array_of(env, logprob.top, [&](const TokenChance & chance) { return chance_object(env, chance); }));
    return object;
}

// In the order of Source.
constexpr const char * kSources[] = {"encoder", "memory", "disk", "kv", "caller"};

// Fills the fields of each kind of event into `object`.
struct EventWriter {
    Napi::Env env;
    Napi::Object & object;

    void operator()(const LoadProgress & event) const {
        object.Set("type", "progress");
        object.Set("progress", event.progress);
    }
    void operator()(const Ready & event) const {
        object.Set("type", "ready");
        object.Set("info", info_object(env, event.info));
    }
    void operator()(const LoadFailed & event) const {
        object.Set("type", "failed");
        error(event.code, event.message, event.detail);
    }
    void operator()(const Closed &) const { object.Set("type", "closed"); }
    void operator()(const Warning & event) const {
        object.Set("type", "warning");
        object.Set("code", event.code);
        object.Set("message", event.message);
    }
    void operator()(const LogLine & event) const {
        object.Set("type", "log");
        object.Set("level", event.level);
        object.Set("message", event.text);
    }
    void operator()(const ImageEncoded & event) const {
        object.Set("type", "image");
        object.Set("index", event.index);
        object.Set("encodeMs", event.encode_ms);
        object.Set("source", kSources[static_cast<size_t>(event.source)]);
    }
    void operator()(const EmbeddingReady & event) const {
        object.Set("type", "embedding");
        auto data = Napi::Float32Array::New(env, event.rows->size());
        std::copy(event.rows->begin(), event.rows->end(), data.Data());
        object.Set("data", data);
        object.Set("encodeMs", event.encode_ms);
    }
    void operator()(const StateKept & event) const {
        object.Set("type", "state");
        object.Set("tokens", event.tokens);
        object.Set("bytes", static_cast<double>(event.bytes));
    }
    void operator()(const TextDelta & event) const {
        object.Set("type", "text");
        object.Set("text", event.text);
        object.Set("tokens", numbers(env, event.tokens));
        if (!event.logprobs.empty()) {
            object.Set("logprobs", array_of(env, event.logprobs, [&](const TokenLogprob & logprob) {
                           return logprob_object(env, logprob);
                       }));
        }
    }
    void operator()(const End & event) const {
        object.Set("type", "end");
        object.Set("reason", event.reason);
        object.Set("promptTokens", event.prompt_tokens);
        object.Set("cachedTokens", event.cached_tokens);
        object.Set("completionTokens", event.completion_tokens);
        object.Set("guessedTokens", event.guessed_tokens);
        object.Set("acceptedTokens", event.accepted_tokens);
        auto timings = Napi::Object::New(env);
        timings.Set("queueMs", event.timings.queue_ms);
        timings.Set("encodeMs", event.timings.encode_ms);
        timings.Set("prefillMs", event.timings.prefill_ms);
        timings.Set("generateMs", event.timings.generate_ms);
        object.Set("timings", timings);
    }
    void operator()(const RequestError & event) const {
        object.Set("type", "error");
        error(event.code, event.message, event.detail);
    }

    void error(const std::string & code, const std::string & message, const std::string & detail) const {
        object.Set("code", code);
        object.Set("message", message);
        object.Set("detail", detail);
    }
};

Napi::Value scalar(Napi::Env env, const GgufScalar & value) {
    if (const auto * number = std::get_if<double>(&value)) {
        return Napi::Number::New(env, *number);
    }
    if (const auto * flag = std::get_if<bool>(&value)) {
        return Napi::Boolean::New(env, *flag);
    }
    return Napi::String::New(env, std::get<std::string>(value));
}

}  // namespace

Napi::Value to_js(Napi::Env env, uint32_t engine, const Event & event) {
    auto object = Napi::Object::New(env);
    object.Set("engine", engine);
    if (event.request >= 0) {
        object.Set("request", static_cast<double>(event.request));
    }
    std::visit(EventWriter{env, object}, event.body);
    return object;
}

Napi::Value to_js(Napi::Env env, const GgufHeader & header) {
    auto metadata = Napi::Object::New(env);
    for (const auto & [key, value] : header.metadata) {
        const Napi::HandleScope scope(env);
        if (const auto * single = std::get_if<GgufScalar>(&value)) {
            metadata.Set(key, scalar(env, *single));
        } else {
            metadata.Set(key, array_of(env, std::get<std::vector<GgufScalar>>(value),
                                       [&](const GgufScalar & item) { return scalar(env, item); }));
        }
    }
    auto object = Napi::Object::New(env);
    object.Set("fileBytes", static_cast<double>(header.file_bytes));
    object.Set("metadata", metadata);
    object.Set("tensors", array_of(env, header.tensors, [&](const GgufTensor & tensor) {
                   auto entry = Napi::Object::New(env);
                   entry.Set("name", tensor.name);
                   entry.Set("type", tensor.type);
                   entry.Set("shape", array_of(env, tensor.shape, [&](int64_t n) {
                                 return Napi::Number::New(env, static_cast<double>(n));
                             }));
                   entry.Set("offset", static_cast<double>(tensor.offset));
                   entry.Set("bytes", static_cast<double>(tensor.bytes));
                   return entry;
               }));
    return object;
}

Napi::Value to_js(Napi::Env env, const EngineStats & stats) {
    auto kv = Napi::Object::New(env);
    kv.Set("cells", stats.cells);
    kv.Set("used", stats.used_cells);
    kv.Set("cachedSequences", stats.cached_sequences);
    auto embeddings = Napi::Object::New(env);
    embeddings.Set("memoryHits", static_cast<double>(stats.embeddings.memory_hits));
    embeddings.Set("diskHits", static_cast<double>(stats.embeddings.disk_hits));
    embeddings.Set("misses", static_cast<double>(stats.embeddings.misses));
    embeddings.Set("entries", static_cast<double>(stats.embeddings.entries));
    embeddings.Set("bytes", static_cast<double>(stats.embeddings.bytes));
    auto object = Napi::Object::New(env);
    object.Set("running", stats.running);
    object.Set("waiting", stats.waiting);
    object.Set("kv", kv);
    object.Set("embeddings", embeddings);
    return object;
}

Napi::Value to_js(Napi::Env env, const std::vector<Device> & devices) {
    return array_of(env, devices, [&](const Device & device) {
        auto object = Napi::Object::New(env);
        object.Set("name", device.name);
        object.Set("description", device.description);
        object.Set("kind", device.kind);
        object.Set("memoryFree", static_cast<double>(device.memory_free));
        object.Set("memoryTotal", static_cast<double>(device.memory_total));
        return object;
    });
}

Napi::Value to_js(Napi::Env env, const std::vector<Backend> & backends) {
    return array_of(env, backends, [&](const Backend & backend) {
        auto object = Napi::Object::New(env);
        object.Set("name", backend.name);
        object.Set("features", array_of(env, backend.features,
                                        [&](const std::string & feature) { return Napi::String::New(env, feature); }));
        return object;
    });
}

Napi::Value to_js(Napi::Env env, const std::vector<BackendLibrary> & libraries) {
    return array_of(env, libraries, [&](const BackendLibrary & library) {
        auto object = Napi::Object::New(env);
        object.Set("file", library.file);
        if (library.score) {
            object.Set("score", *library.score);
        }
        if (!library.problem.empty()) {
            object.Set("problem", library.problem);
        }
        return object;
    });
}

Napi::Value to_js(Napi::Env env, const std::vector<int32_t> & tokens) {
    auto array = Napi::Int32Array::New(env, tokens.size());
    std::copy(tokens.begin(), tokens.end(), array.Data());
    return array;
}

}  // namespace qvl
