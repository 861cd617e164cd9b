// Short work off the event loop (headers, tokenising, resizing) as a promise, on libuv's pool. Never inference.
#pragma once

#include "js_error.h"
#include "napi_setup.h"

#include <functional>
#include <optional>
#include <utility>

namespace qvl {

template <typename Result>
class Background : public Napi::AsyncWorker {
  public:
    using Work = std::function<Result()>;
    using Convert = std::function<Napi::Value(Napi::Env, Result)>;

    static Napi::Promise run(Napi::Env env, Work work, Convert convert) {
        // The worker deletes itself after OnOK or OnError.
        auto worker = std::make_unique<Background>(env, std::move(work), std::move(convert));
        const Napi::Promise promise = worker->deferred_.Promise();
        worker.release()->Queue();
        return promise;
    }

    Background(Napi::Env env, Work work, Convert convert)
        : Napi::AsyncWorker(env, "qwenvl-native"), deferred_(Napi::Promise::Deferred::New(env)), work_(std::move(work)),
          convert_(std::move(convert)) {}

  protected:
    void Execute() override {
        try {
            result_ = work_();
        } catch (const Error & error) {
            error_ = error;
        } catch (const std::bad_alloc &) {
            error_ = Error("OUT_OF_MEMORY", "There was not enough memory.");
        } catch (const std::exception & error) {
            error_ = Error("INTERNAL", error.what());
        }
    }

    void OnOK() override {
        const Napi::HandleScope scope(Env());
        if (error_) {
            deferred_.Reject(to_js_error(Env(), *error_).Value());
        } else {
            deferred_.Resolve(convert_(Env(), std::move(*result_)));
        }
    }

  private:
    Napi::Promise::Deferred deferred_;
    Work work_;
    Convert convert_;
    std::optional<Result> result_;
    std::optional<Error> error_;
};

}  // namespace qvl
