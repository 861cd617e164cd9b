// An engine with a tiny model of random weights, and what it tells.
#pragma once

#include "engine.h"

#include "check.h"

#include "backends.h"

#include <filesystem>
#include <map>
#include <thread>

using namespace qvl;

inline const std::string kFixtures = (std::filesystem::path(__FILE__).parent_path() / "../fixtures/qwen2vl").string();

inline EngineParams params() {
    EngineParams params{};
    params.model = kFixtures + "/model-f32.gguf";
    params.mmproj = kFixtures + "/mmproj-f32.gguf";
    params.context_size = 512;
    params.batch_size = 64;
    params.threads = 1;
    params.flash_attention = "off";
    params.cache_type = "f32";
    return params;
}

inline GenerateParams prompt(std::vector<int32_t> tokens, int max_tokens) {
    GenerateParams generate{};
    generate.position = static_cast<int32_t>(tokens.size());
    generate.segments.push_back(TextSegment{std::move(tokens), 0});
    generate.max_tokens = max_tokens;
    generate.logprobs = -1;
    generate.pad_token = -1;
    generate.sampling = {0.0f, 0, 1.0f, 0.0f, 1.0f, 0.0f, 0.0f, 0};
    return generate;
}

// 56 × 56 pixels are 4 × 4 patches, 2 × 2 rows.
inline ImageSegment picture() {
    ImageSegment image;
    image.pixels.assign(56 * 56 * 3, 100);
    image.width = 56;
    image.height = 56;
    image.count = 4;
    return image;
}

// Keeps the events of one engine.
class Recorder {
  public:
    EventSink sink() {
        return [this](Event event) {
            const std::lock_guard<std::mutex> lock(mutex_);
            events_.push_back(std::move(event));
            changed_.notify_all();
        };
    }
    template <typename Body>
    bool has(int64_t request) const {
        return find<Body>(request) != nullptr;
    }
    template <typename Body>
    void wait(int64_t request) {
        std::unique_lock<std::mutex> lock(mutex_);
        if (!changed_.wait_for(lock, std::chrono::seconds(30), [&] { return find<Body>(request) != nullptr; })) {
            check::fail(__FILE__, __LINE__, "no event of the expected kind within 30 s");
        }
    }
    void wait_end(int64_t request) {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait_for(lock, std::chrono::seconds(30),
                          [&] { return find<End>(request) != nullptr || find<RequestError>(request) != nullptr; });
    }
    template <typename Body>
    Body get(int64_t request) const {
        const std::lock_guard<std::mutex> lock(mutex_);
        const Body * found = find<Body>(request);
        return found != nullptr ? *found : Body{};
    }
    std::vector<int32_t> tokens(int64_t request) const {
        const std::lock_guard<std::mutex> lock(mutex_);
        std::vector<int32_t> all;
        for (const auto & event : events_) {
            if (const auto * delta = std::get_if<TextDelta>(&event.body); delta && event.request == request) {
                all.insert(all.end(), delta->tokens.begin(), delta->tokens.end());
            }
        }
        return all;
    }
    // Call when no thread writes any more.
    const std::vector<Event> & events() const { return events_; }

  private:
    template <typename Body>
    const Body * find(int64_t request) const {
        for (const auto & event : events_) {
            if (event.request == request && std::holds_alternative<Body>(event.body)) {
                return &std::get<Body>(event.body);
            }
        }
        return nullptr;
    }

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<Event> events_;
};

struct Running {
    explicit Running(EngineParams with = params()) : engine(Engine::open(std::move(with), events.sink())) {
        events.wait<Ready>(-1);
    }
    ~Running() {
        engine->close();
        CHECK(engine->join(Clock::now() + std::chrono::seconds(30)));
    }
    void submit(int64_t id, RequestParams request) {
        engine->submit(std::make_shared<Request>(id, std::move(request)));
    }

    Recorder events;
    std::shared_ptr<Engine> engine;
};

// So many different tokens, `first` of them in front.
inline std::vector<int32_t> text(size_t count, int32_t first) {
    std::vector<int32_t> tokens(count);
    for (size_t i = 0; i < count; i++) {
        tokens[i] = (first + static_cast<int32_t>(i) * 7) % 200;
    }
    return tokens;
}
