// One loaded model with a thread of its own: loads, then serves requests. All methods may be called from any thread,
// return at once (but for `join`) and never throw; results come as events.
#pragma once

#include "embedding_cache.h"
#include "engine_stats.h"
#include "event.h"
#include "log.h"
#include "model.h"
#include "params.h"
#include "prompt_cache.h"
#include "request_queue.h"
#include "thread.h"
#include "wakeup.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>

namespace qvl {

class Engine : public std::enable_shared_from_this<Engine> {
  public:
    // Starts loading. The engine is also known to `stop_all` until it is closed.
    static std::shared_ptr<Engine> open(EngineParams params, EventSink sink);

    ~Engine();

    void submit(std::shared_ptr<Request> request);
    void cancel(int64_t id);
    void acknowledge(int64_t id, int events);
    // Vocabulary and weights, or nullptr before Ready and after Closed.
    std::shared_ptr<const Model> model() const;
    EngineStats stats() const;

    // Cancels everything; the thread ends after the current layer or batch and frees the model. Then comes Closed.
    void close();
    // Waits for the end of the thread; false when the deadline passed, the thread is then left to itself.
    bool join(std::chrono::steady_clock::time_point deadline);

  private:
    Engine(EngineParams params, EventSink sink);

    void run() noexcept;
    void load_and_serve();
    bool report_loaded(double share);
    void emit(Event event);
    LogListener::Heard log_sink() const;
    std::shared_ptr<Request> running(int64_t id) const;
    EngineInfo info(const Model & model, const class Vision * vision, int threads) const;
    std::unique_ptr<EmbeddingCache> open_cache(const Vision & vision);
    std::string maker(const std::string & identity, const Vision & vision) const;
    std::function<void(const Error &)> warning() const;
    std::unique_ptr<PromptCache> open_prompts(const Vision & vision);

    const EngineParams params_;
    const EventSink sink_;
    Thread thread_;

    std::mutex join_mutex_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::map<int64_t, std::weak_ptr<Request>> requests_;  // that have not ended
    std::shared_ptr<const Model> model_;
    std::unique_ptr<EmbeddingCache> cache_;  // with a projector
    bool ended_ = false;
    std::atomic<bool> closing_{false};
    RequestQueue queue_;
    Standing standing_;
    Wakeup work_;  // there may be something to do
    int loaded_percent_ = -1;
};

// Closes every engine of the process and waits until they ended or the deadline passed. For exits that run no
// environment cleanup: process.exit(), uncaught exceptions, exit().
void stop_all(std::chrono::milliseconds deadline);

}  // namespace qvl
