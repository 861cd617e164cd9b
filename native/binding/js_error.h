// qvl::Error to a JavaScript Error with `code` and `detail`; lib/errors.ts makes the typed class of it.
#pragma once

#include "error.h"
#include "napi_setup.h"

namespace qvl {

inline Napi::Error to_js_error(Napi::Env env, const Error & error) {
    Napi::Error result = Napi::Error::New(env, error.message());
    result.Set("code", Napi::String::New(env, error.code()));
    result.Set("detail", Napi::String::New(env, error.detail()));
    return result;
}

// Runs a callback's body; an Error of the core becomes the JavaScript error.
template <typename Body>
auto guarded(Napi::Env env, Body body) -> decltype(body()) {
    try {
        return body();
    } catch (const Error & error) {
        throw to_js_error(env, error);
    }
}

}  // namespace qvl
