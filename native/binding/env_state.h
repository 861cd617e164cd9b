// What one environment (main thread, worker) owns. JavaScript thread only. Nothing in this folder is static and mutable.
#pragma once

#include "channel.h"
#include "napi_setup.h"

#include <memory>
#include <vector>

namespace qvl {

struct EnvState {
    static EnvState & of(Napi::Env env) { return *env.GetInstanceData<EnvState>(); }

    Napi::FunctionReference engine_class;
    // One for each copy of the JavaScript side: jest's module registries and bundles share a loaded binary.
    std::vector<std::unique_ptr<Channel>> channels;
};

}  // namespace qvl
