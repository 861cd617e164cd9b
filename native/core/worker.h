// A thread for work that waits for a disk, done in the order of its coming.
#pragma once

#include "thread.h"

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>

namespace qvl {

class Worker {
  public:
    explicit Worker(const char * name) : thread_(name, [this] { run(); }) {}
    // Does what was posted first.
    ~Worker() {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            ending_ = true;
        }
        changed_.notify_all();
    }

    // `work` must not throw.
    void post(std::function<void()> work) {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            posted_.push_back(std::move(work));
        }
        changed_.notify_all();
    }

  private:
    void run() {
        std::unique_lock<std::mutex> lock(mutex_);
        for (;;) {
            changed_.wait(lock, [this] { return ending_ || !posted_.empty(); });
            if (posted_.empty()) {
                return;
            }
            const auto work = std::move(posted_.front());
            posted_.pop_front();
            lock.unlock();
            work();
            lock.lock();
        }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::function<void()>> posted_;
    bool ending_ = false;
    Thread thread_;  // the last: it uses the others, and ends before them
};

}  // namespace qvl
