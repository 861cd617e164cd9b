// The JavaScript face of one engine: openEngine() returns it. JavaScript thread only.
#pragma once

#include "napi_setup.h"

#include <cstdint>

namespace qvl {

class EngineWrap : public Napi::ObjectWrap<EngineWrap> {
  public:
    static Napi::Function define(Napi::Env env);
    explicit EngineWrap(const Napi::CallbackInfo & info);  // (params, channel)
    // Collected without close(): stops the engine, does not wait for it.
    void Finalize(Napi::BasicEnv env) override;

  private:
    Napi::Value id(const Napi::CallbackInfo & info);
    void submit(const Napi::CallbackInfo & info);             // (request)
    void cancel(const Napi::CallbackInfo & info);             // (id)
    void acknowledge(const Napi::CallbackInfo & info);        // (id, events)
    Napi::Value tokenize(const Napi::CallbackInfo & info);    // (text, parseSpecial) -> Promise<Int32Array>
    Napi::Value detokenize(const Napi::CallbackInfo & info);  // (Int32Array, special) -> string
    Napi::Value stats(const Napi::CallbackInfo & info);
    void close(const Napi::CallbackInfo & info);

    class Channel * channel_ = nullptr;  // owned by the environment
    uint32_t id_ = 0;
    std::weak_ptr<class Engine> engine_;
};

}  // namespace qvl
