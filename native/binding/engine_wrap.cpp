#include "engine_wrap.h"

#include "background.h"
#include "convert.h"
#include "env_state.h"
#include "js_error.h"

#include <memory>

namespace qvl {

namespace {

// Random: an object of another addon, or a plain one, is refused instead of misread.
constexpr napi_type_tag kTag{0x6b9f2f1d5e0a4c83, 0x9d27a3f4c1e85b60};

std::shared_ptr<const Model> loaded_model(const std::shared_ptr<Engine> & engine) {
    auto model = engine ? engine->model() : nullptr;
    if (!model) {
        throw Error("DISPOSED", "The model is not loaded (any more). Load it again.");
    }
    return model;
}

Napi::Object object_argument(const Napi::CallbackInfo & info) {
    if (!info[0].IsObject()) {
        throw Error("INVALID_ARGUMENT", "Expected an object.");
    }
    return info[0].As<Napi::Object>();
}

int64_t id_argument(const Napi::CallbackInfo & info) {
    if (!info[0].IsNumber()) {
        throw Error("INVALID_ARGUMENT", "Expected the id of a request.");
    }
    return info[0].As<Napi::Number>().Int64Value();
}

}  // namespace

Napi::Function EngineWrap::define(Napi::Env env) {
    return DefineClass(
        env, "Engine",
        {InstanceAccessor<&EngineWrap::id>("id"), InstanceMethod<&EngineWrap::submit>("submit"),
         InstanceMethod<&EngineWrap::cancel>("cancel"), InstanceMethod<&EngineWrap::acknowledge>("acknowledge"),
         InstanceMethod<&EngineWrap::tokenize>("tokenize"), InstanceMethod<&EngineWrap::detokenize>("detokenize"),
         InstanceMethod<&EngineWrap::stats>("stats"), InstanceMethod<&EngineWrap::close>("close")});
}

EngineWrap::EngineWrap(const Napi::CallbackInfo & info) : Napi::ObjectWrap<EngineWrap>(info) {
    guarded(info.Env(), [&] {
        const auto & channels = EnvState::of(info.Env()).channels;
        const int64_t channel = info[1].IsNumber() ? info[1].As<Napi::Number>().Int64Value() : -1;
        if (channel < 0 || channel >= static_cast<int64_t>(channels.size())) {
            throw Error("INVALID_ARGUMENT", "Expected the number that initialize() returned.");
        }
        info.This().As<Napi::Object>().TypeTag(&kTag);
        channel_ = channels[static_cast<size_t>(channel)].get();
        id_ = channel_->open(engine_params(object_argument(info)));
        engine_ = channel_->engine(id_);
    });
}

void EngineWrap::Finalize(Napi::BasicEnv) {
    if (const auto engine = engine_.lock()) {
        engine->close();
    }
}

Napi::Value EngineWrap::id(const Napi::CallbackInfo & info) {
    return Napi::Number::New(info.Env(), id_);
}

void EngineWrap::submit(const Napi::CallbackInfo & info) {
    guarded(info.Env(), [&] {
        auto wanted = request(object_argument(info));
        const auto engine = channel_->engine(id_);
        if (!engine) {
            throw Error("DISPOSED", "The model was disposed. Load it again.");
        }
        channel_->request_started();
        engine->submit(std::move(wanted));
    });
}

void EngineWrap::cancel(const Napi::CallbackInfo & info) {
    guarded(info.Env(), [&] {
        if (const auto engine = engine_.lock()) {
            engine->cancel(id_argument(info));
        }
    });
}

void EngineWrap::acknowledge(const Napi::CallbackInfo & info) {
    guarded(info.Env(), [&] {
        if (const auto engine = engine_.lock()) {
            engine->acknowledge(id_argument(info), info[1].ToNumber().Int32Value());
        }
    });
}

Napi::Value EngineWrap::tokenize(const Napi::CallbackInfo & info) {
    return guarded(info.Env(), [&]() -> Napi::Value {
        if (!info[0].IsString()) {
            throw Error("INVALID_ARGUMENT", "Expected `text` to be a string.");
        }
        auto text = info[0].As<Napi::String>().Utf8Value();
        const bool parse_special = info[1].ToBoolean();
        return Background<std::vector<int32_t>>::run(
            info.Env(),
            [model = loaded_model(engine_.lock()), text = std::move(text), parse_special] {
                return model->tokenize(text, parse_special);
            },
            [](Napi::Env env, std::vector<int32_t> tokens) { return to_js(env, tokens); });
    });
}

Napi::Value EngineWrap::detokenize(const Napi::CallbackInfo & info) {
    return guarded(info.Env(), [&]() -> Napi::Value {
        const auto model = loaded_model(engine_.lock());
        if (!info[0].IsTypedArray() || info[0].As<Napi::TypedArray>().TypedArrayType() != napi_int32_array) {
            throw Error("INVALID_ARGUMENT", "Expected `tokens` to be an Int32Array.");
        }
        const auto tokens = info[0].As<Napi::Int32Array>();
        std::string text;
        for (size_t i = 0; i < tokens.ElementLength(); i++) {
            if (tokens[i] < 0 || tokens[i] >= llama_vocab_n_tokens(model->vocab())) {
                throw Error("INVALID_ARGUMENT", "Expected `tokens` to hold ids of the vocabulary.");
            }
            text += model->piece(tokens[i], info[1].ToBoolean());
        }
        return Napi::String::New(info.Env(), text);
    });
}

Napi::Value EngineWrap::stats(const Napi::CallbackInfo & info) {
    const auto engine = engine_.lock();
    return to_js(info.Env(), engine ? engine->stats() : EngineStats{});
}

void EngineWrap::close(const Napi::CallbackInfo &) {
    channel_->close(id_);
}

}  // namespace qvl
