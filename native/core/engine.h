// One loaded model with a thread of its own: loads, then runs requests in order. All methods may be called from any
// thread, return at once (but for `join`) and never throw; results come as events.
#pragma once

#include "event.h"
#include "params.h"
#include "task.h"
#include "thread.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
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

    // Cancels everything; the thread ends after the current layer or batch and frees the model. Then comes Closed.
    void close();
    // Waits for the end of the thread; false when the deadline passed, the thread is then left to itself.
    bool join(std::chrono::steady_clock::time_point deadline);

  private:
    Engine(EngineParams params, EventSink sink);

    void run() noexcept;
    void load_and_serve();
    void serve(Decoder & decoder, Vision * vision);
    void run_request(Request & request, const TaskContext & context);
    std::shared_ptr<Request> next_request();
    bool stopping() const;
    void wait_for_reader(Request & request);
    EngineInfo info(const Decoder & decoder, const Vision * vision, int threads) const;

    const EngineParams params_;
    const EventSink sink_;
    Thread thread_;

    std::mutex join_mutex_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::shared_ptr<Request>> queue_;
    std::shared_ptr<Request> active_;
    std::shared_ptr<const Model> model_;
    bool ended_ = false;
    std::atomic<bool> closing_{false};
};

// Closes every engine of the process and waits until they ended or the deadline passed. For exits that run no
// environment cleanup: process.exit(), uncaught exceptions, exit().
void stop_all(std::chrono::milliseconds deadline);

}  // namespace qvl
