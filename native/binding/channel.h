// One listener and the engines that it hears: their life, and what keeps the process alive. JavaScript thread only.
#pragma once

#include "bridge.h"
#include "engine.h"
#include "napi_setup.h"

#include <map>
#include <memory>
#include <set>

namespace qvl {

class Channel {
  public:
    // `on_text` hears what most events are: the text of one token.
    Channel(Napi::Env env, const Napi::Function & listener, const Napi::Function & on_text);
    Channel(const Channel &) = delete;
    Channel & operator=(const Channel &) = delete;

    // Opens an engine; its id is unique in this channel.
    uint32_t open(EngineParams params);
    std::shared_ptr<Engine> engine(uint32_t id) const;  // nullptr once closed
    void request_started();
    // Stops an engine; the process stays alive until it has ended.
    void close(uint32_t id);

  private:
    void receive(Napi::Env env, const Napi::Function & listener, std::vector<EngineEvent> batch);
    void hand_over(Napi::Env env, const Napi::Function & listener, uint32_t id, const Event & event);
    void forget(uint32_t id);
    // Frees everything; work in flight is cancelled and joined for at most five seconds.
    void shut_down();

    Napi::Env env_;
    Napi::FunctionReference on_text_;
    std::shared_ptr<Bridge> bridge_;
    std::map<uint32_t, std::shared_ptr<Engine>> engines_;
    uint32_t next_id_ = 1;
    std::set<uint32_t> closing_;
    int active_ = 0;  // loads, requests and closings whose last event has not come
};

}  // namespace qvl
