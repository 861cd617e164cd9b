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

Channel::Channel(Napi::Env env, const Napi::Function & listener, const Napi::Function & on_text)
    : env_(env), on_text_(Napi::Persistent(on_text)) {
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
    for (const auto & [id, event] : batch) {
        const Napi::HandleScope scope(env);
        if (ends_activity(event)) {
            active_--;
        }
        if (std::holds_alternative<Closed>(event.body)) {
            active_ -= static_cast<int>(closing_.erase(id));
            forget(id);
        }
        hand_over(env, listener, id, event);
    }
    bridge_->set_active(env, active_);
}

// Tokens are many, and each property of an object costs a call: they come as arguments.
void Channel::hand_over(Napi::Env env, const Napi::Function & listener, uint32_t id, const Event & event) {
    const auto * text = std::get_if<TextDelta>(&event.body);
    if (text != nullptr && text->tokens.size() == 1 && text->logprobs.empty()) {
        on_text_.Call({Napi::Number::New(env, id), Napi::Number::New(env, static_cast<double>(event.request)),
                       Napi::String::New(env, text->text), Napi::Number::New(env, text->tokens.front())});
    } else {
        listener.Call({to_js(env, id, event)});
    }
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
