// What one environment (main thread, worker, jest realm) owns: its bridge, its engines, its class. JavaScript thread
// only. Nothing in this folder is static and mutable.
#pragma once

#include "bridge.h"
#include "engine.h"
#include "napi_setup.h"

#include <map>
#include <memory>
#include <set>

namespace qvl {

class EnvState {
  public:
    explicit EnvState(Napi::Env env) : env_(env) {}

    static EnvState & of(Napi::Env env);

    // Once; throws Error INVALID_ARGUMENT on a second call.
    void start(const Napi::Function & listener);
    bool started() const { return bridge_ != nullptr; }

    // Opens an engine; its id is unique in this environment.
    uint32_t open(EngineParams params);
    std::shared_ptr<Engine> engine(uint32_t id) const;  // nullptr once closed
    void request_started();
    // Stops an engine; the process stays alive until it has ended.
    void close(uint32_t id);
    // Frees everything; work in flight is cancelled and joined for at most five seconds.
    void shut_down();

    Napi::FunctionReference engine_class;

  private:
    void receive(Napi::Env env, const Napi::Function & listener, std::vector<EngineEvent> batch);
    void forget(uint32_t id);

    Napi::Env env_;
    std::shared_ptr<Bridge> bridge_;
    std::map<uint32_t, std::shared_ptr<Engine>> engines_;
    uint32_t next_id_ = 1;
    std::set<uint32_t> closing_;
    int active_ = 0;  // loads, requests and closings whose last event has not come
};

}  // namespace qvl
