#include "channel.h"

#include "convert.h"

namespace qvl {

namespace {

constexpr std::chrono::seconds kTeardownDeadline{5};

bool ends_activity(const Event & event) {
    return std::holds_alternative<Ready>(event.body) || std::holds_alternative<LoadFailed>(event.body) ||
           std::holds_alternative<End>(event.body) || std::holds_alternative<RequestError>(event.body);
}

}  // namespace

Channel::Channel(Napi::Env env, const Napi::Function & listener) : env_(env) {
    bridge_ = std::make_shared<Bridge>(env, listener, [this](Napi::Env e, Napi::Function function, auto batch) {
        receive(e, function, std::move(batch));
    });
    // Hooks run last in, first out: registered after the bridge's thread-safe function, ours runs while it is valid.
    env.AddCleanupHook([this] { shut_down(); });
}

uint32_t Channel::open(EngineParams params) {
    const uint32_t id = next_id_++;
    // The engine may outlive this environment by a moment: its sink holds the bridge, not us.
    auto engine =
        Engine::open(std::move(params), [bridge = bridge_, id](Event event) { bridge->push({id, std::move(event)}); });
    engines_.emplace(id, std::move(engine));
    request_started();
    return id;
}

std::shared_ptr<Engine> Channel::engine(uint32_t id) const {
    const auto found = engines_.find(id);
    return found == engines_.end() ? nullptr : found->second;
}

void Channel::request_started() {
    bridge_->set_active(env_, ++active_);
}

void Channel::close(uint32_t id) {
    if (const auto running = engine(id)) {
        if (closing_.insert(id).second) {
            request_started();
        }
        running->close();
    }
}

void Channel::receive(Napi::Env env, const Napi::Function & listener, std::vector<EngineEvent> batch) {
    auto events = Napi::Array::New(env, batch.size());
    for (uint32_t i = 0; i < batch.size(); i++) {
        auto & [id, event] = batch[i];
        const Napi::HandleScope scope(env);
        events.Set(i, to_js(env, id, event));
        if (ends_activity(event)) {
            active_--;
        }
        if (std::holds_alternative<Closed>(event.body)) {
            active_ -= static_cast<int>(closing_.erase(id));
            forget(id);
        }
    }
    bridge_->set_active(env, active_);
    listener.Call({events});
}

void Channel::forget(uint32_t id) {
    const auto found = engines_.find(id);
    if (found != engines_.end()) {
        found->second->join(Clock::now() + kTeardownDeadline);  // Closed is its last event: this does not wait
        engines_.erase(found);
    }
}

void Channel::shut_down() {
    for (const auto & [id, engine] : engines_) {
        engine->close();
    }
    const auto deadline = Clock::now() + kTeardownDeadline;
    for (const auto & [id, engine] : engines_) {
        engine->join(deadline);
    }
    engines_.clear();
    bridge_->close();
}

}  // namespace qvl
