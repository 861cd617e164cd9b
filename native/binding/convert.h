// JavaScript values to core structs, checked, and back. Throws Error INVALID_ARGUMENT with the name of the field.
#pragma once

#include "backends.h"
#include "engine_stats.h"
#include "event.h"
#include "gguf_header.h"
#include "libraries.h"
#include "napi_setup.h"
#include "params.h"

#include <memory>

namespace qvl {

struct Request;

EngineParams engine_params(const Napi::Object & object);
std::shared_ptr<Request> request(const Napi::Object & object);
// A Uint8Array of width × height × 3 bytes, not detached and not shared with other threads.
void check_pixels(const Napi::Value & value, int64_t width, int64_t height, const char * name);

Napi::Value to_js(Napi::Env env, uint32_t engine, const Event & event);
Napi::Value to_js(Napi::Env env, const GgufHeader & header);
Napi::Value to_js(Napi::Env env, const EngineStats & stats);
Napi::Value to_js(Napi::Env env, const std::vector<Device> & devices);
Napi::Value to_js(Napi::Env env, const std::vector<Backend> & backends);
Napi::Value to_js(Napi::Env env, const std::vector<BackendLibrary> & libraries);
Napi::Value to_js(Napi::Env env, const std::vector<int32_t> & tokens);

}  // namespace qvl
