// Registration, and nothing else. lib/engine/binding.ts types exactly these names.
#include "backends.h"
#include "background.h"
#include "convert.h"
#include "engine_wrap.h"
#include "env_state.h"
#include "libraries.h"
#include "resize.h"
#include "resize_frame.h"
#include "schema.h"

namespace qvl {

namespace {

// Pictures of one prompt are resized side by side: a few threads each are enough.
constexpr int kResizeThreads = 2;

Napi::Value build_info(const Napi::CallbackInfo & info) {
    auto object = Napi::Object::New(info.Env());
    object.Set("version", QWENVL_VERSION);
    object.Set("llamaCpp", QWENVL_LLAMA_TAG);
    object.Set("edits", QWENVL_LLAMA_EDITS);
    object.Set("napi", NAPI_VERSION);
#ifdef QWENVL_DYNAMIC_BACKENDS
    object.Set("dynamicBackends", true);
#else
    object.Set("dynamicBackends", false);
#endif
    return object;
}

// (backendFolder, onEvent, onText) -> channel
Napi::Value initialize(const Napi::CallbackInfo & info) {
    return guarded(info.Env(), [&]() -> Napi::Value {
        if (!info[0].IsString() || !info[1].IsFunction() || !info[2].IsFunction()) {
            throw Error("INVALID_ARGUMENT", "Expected the folder of the backends and two functions.");
        }
        load_backends(info[0].As<Napi::String>().Utf8Value());
        auto & channels = EnvState::of(info.Env()).channels;
        channels.push_back(
            std::make_unique<Channel>(info.Env(), info[1].As<Napi::Function>(), info[2].As<Napi::Function>()));
        return Napi::Number::New(info.Env(), static_cast<double>(channels.size() - 1));
    });
}

Napi::Value devices(const Napi::CallbackInfo & info) {
    return to_js(info.Env(), list_devices());
}

Napi::Value backends(const Napi::CallbackInfo & info) {
    return to_js(info.Env(), list_backends());
}

// (folder)
Napi::Value backend_libraries(const Napi::CallbackInfo & info) {
    return guarded(info.Env(), [&]() -> Napi::Value {
        if (!info[0].IsString()) {
            throw Error("INVALID_ARGUMENT", "Expected `folder` to be a string.");
        }
        return to_js(info.Env(), inspect_libraries(info[0].As<Napi::String>().Utf8Value()));
    });
}

// (path)
Napi::Value inspect_gguf(const Napi::CallbackInfo & info) {
    return guarded(info.Env(), [&]() -> Napi::Value {
        if (!info[0].IsString()) {
            throw Error("INVALID_ARGUMENT", "Expected `path` to be a string.");
        }
        return Background<GgufHeader>::run(
            info.Env(), [path = info[0].As<Napi::String>().Utf8Value()] { return read_gguf_header(path); },
            [](Napi::Env env, GgufHeader header) { return to_js(env, header); });
    });
}

// (schema)
Napi::Value schema_to_grammar_js(const Napi::CallbackInfo & info) {
    return guarded(info.Env(), [&]() -> Napi::Value {
        if (!info[0].IsString()) {
            throw Error("INVALID_ARGUMENT", "Expected `schema` to be a string.");
        }
        return Background<std::string>::run(
            info.Env(), [schema = info[0].As<Napi::String>().Utf8Value()] { return schema_to_grammar(schema); },
            [](Napi::Env env, const std::string & grammar) -> Napi::Value { return Napi::String::New(env, grammar); });
    });
}

using Resize = void (*)(const uint8_t *, int, int, uint8_t *, int, int);

template <Weights precision>
void resize_picture(const uint8_t * src, int width, int height, uint8_t * dst, int target_width, int target_height) {
    resize_bicubic(src, width, height, dst, target_width, target_height, kResizeThreads, precision);
}

// (pixels, width, height, targetWidth, targetHeight)
template <Resize resize>
Napi::Value resize_js(const Napi::CallbackInfo & info) {
    return guarded(info.Env(), [&]() -> Napi::Value {
        int sizes[4];
        for (size_t i = 0; i < 4; i++) {
            sizes[i] = info[i + 1].ToNumber().Int32Value();
        }
        const auto [width, height, target_width, target_height] = sizes;
        if (target_width < 1 || target_height < 1 || target_width > 65536 || target_height > 65536) {
            throw Error("INVALID_ARGUMENT", "Expected the target size to be from 1 to 65536.");
        }
        check_pixels(info[0], width, height, "pixels");
        const auto source = info[0].As<Napi::Uint8Array>();
        // A Buffer is not filled with zeros first.
        auto target = Napi::Buffer<uint8_t>::New(info.Env(), static_cast<size_t>(target_width) * target_height * 3);
        // Tens of megabytes: read and written in place. The references live as long as the work and die on this thread.
        const auto kept = std::make_shared<std::pair<Napi::ObjectReference, Napi::ObjectReference>>(
            Napi::Persistent(source.As<Napi::Object>()), Napi::Persistent(target.As<Napi::Object>()));
        return Background<bool>::run(
            info.Env(),
            [=, from = source.Data(), to = target.Data()] {
                resize(from, width, height, to, target_width, target_height);
                return true;
            },
            [kept](Napi::Env, bool) -> Napi::Value { return kept->second.Value(); });
    });
}

// (params, channel)
Napi::Value open_engine(const Napi::CallbackInfo & info) {
    return EnvState::of(info.Env()).engine_class.New({info[0], info[1]});
}

// (deadlineMs)
void stop_all_js(const Napi::CallbackInfo & info) {
    stop_all(std::chrono::milliseconds(info[0].ToNumber().Int64Value()));
}

Napi::Object register_addon(Napi::Env env, Napi::Object exports) {
    auto state = std::make_unique<EnvState>();
    state->engine_class = Napi::Persistent(EngineWrap::define(env));
    env.SetInstanceData(state.release());  // owned by the environment
    exports.Set("buildInfo", Napi::Function::New<build_info>(env));
    exports.Set("initialize", Napi::Function::New<initialize>(env));
    exports.Set("backendLibraries", Napi::Function::New<backend_libraries>(env));
    exports.Set("backends", Napi::Function::New<backends>(env));
    exports.Set("devices", Napi::Function::New<devices>(env));
    exports.Set("inspectGguf", Napi::Function::New<inspect_gguf>(env));
    exports.Set("resizeBicubic", Napi::Function::New<resize_js<resize_picture<Weights::kInt32>>>(env));
    exports.Set("resizeTorchvision", Napi::Function::New<resize_js<resize_picture<Weights::kInt16>>>(env));
    exports.Set("resizeFrame", Napi::Function::New<resize_js<resize_frame>>(env));
    exports.Set("schemaToGrammar", Napi::Function::New<schema_to_grammar_js>(env));
    exports.Set("openEngine", Napi::Function::New<open_engine>(env));
    exports.Set("stopAll", Napi::Function::New<stop_all_js>(env));
    return exports;
}

}  // namespace

}  // namespace qvl

static Napi::Object init_qwenvl(Napi::Env env, Napi::Object exports) {
    return qvl::register_addon(env, exports);
}

NODE_API_MODULE(qwenvl_native, init_qwenvl)
