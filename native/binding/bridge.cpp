#include "bridge.h"

#include <utility>

namespace qvl {

Bridge::Bridge(Napi::Env env, const Napi::Function & listener, Receiver receiver) : receiver_(std::move(receiver)) {
    waker_ = Waker::New(env, listener, "qwenvl-native", /*maxQueueSize*/ 0, /*initialThreadCount*/ 1, this);
    waker_.Unref(env);
}

void Bridge::push(EngineEvent event) {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (closed_) {
            return;
        }
        events_.push_back(std::move(event));
        if (std::exchange(wake_pending_, true)) {
            return;
        }
    }
    const std::lock_guard<std::mutex> lock(waking_);
    if (!closed_) {
        waker_.NonBlockingCall();  // fails only when the environment is closing
    }
}

void Bridge::drain(Napi::Env env, Napi::Function listener, Bridge * bridge, void *) {
    if (env == nullptr) {
        return;  // the environment ended with a wake-up in flight
    }
    const auto alive = bridge->shared_from_this();
    std::vector<EngineEvent> batch;
    {
        const std::lock_guard<std::mutex> lock(bridge->mutex_);
        bridge->wake_pending_ = false;
        batch.swap(bridge->events_);
    }
    if (!batch.empty()) {
        bridge->receiver_(env, listener, std::move(batch));
    }
}

void Bridge::set_active(Napi::Env env, int active) {
    const bool wanted = active > 0;
    if (wanted == referenced_ || closed_) {
        return;
    }
    referenced_ = wanted;
    if (wanted) {
        waker_.Ref(env);
    } else {
        waker_.Unref(env);
    }
}

void Bridge::close() {
    {
        const std::lock_guard<std::mutex> lock(waking_);
        closed_ = true;
        waker_.Abort();
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    events_.clear();
}

}  // namespace qvl
