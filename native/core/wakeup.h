// Wakes one thread that has nothing to do. A notice that comes before the wait is not lost.
#pragma once

#include <condition_variable>
#include <mutex>

namespace qvl {

class Wakeup {
  public:
    void notify() {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            notified_ = true;
        }
        changed_.notify_one();
    }
    void wait() {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this] { return notified_; });
        notified_ = false;
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool notified_ = false;
};

}  // namespace qvl
