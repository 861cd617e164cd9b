// Engine threads to the JavaScript thread of one environment. The thread-safe function only wakes: data wait in our
// own queue and are taken in one batch, so nothing is lost or freed twice when the environment ends.
#pragma once

#include "event.h"
#include "napi_setup.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

namespace qvl {

struct EngineEvent {
    uint32_t engine;
    Event event;
};

class Bridge : public std::enable_shared_from_this<Bridge> {
  public:
    // Receives a batch on the JavaScript thread.
    using Receiver = std::function<void(Napi::Env, Napi::Function, std::vector<EngineEvent>)>;

    // JavaScript thread. `listener` is the one function that is ever called.
    Bridge(Napi::Env env, const Napi::Function & listener, Receiver receiver);

    // Any thread; never blocks. Dropped after close().
    void push(EngineEvent event);
    // JavaScript thread: keeps the process alive while `active` is above zero.
    void set_active(Napi::Env env, int active);
    // JavaScript thread, in the environment's cleanup hook.
    void close();

  private:
    static void drain(Napi::Env env, Napi::Function listener, Bridge * bridge, void * unused);
    using Waker = Napi::TypedThreadSafeFunction<Bridge, void, &Bridge::drain>;

    std::mutex mutex_;
    std::vector<EngineEvent> events_;
    bool wake_pending_ = false;
    // Not held by drain(): the JavaScript thread, once woken, would wait for the thread that woke it.
    std::mutex waking_;
    std::atomic<bool> closed_{false};
    bool referenced_ = false;
    Receiver receiver_;
    Waker waker_;
};

}  // namespace qvl
