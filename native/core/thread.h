// A joinable thread with a name, all signals blocked (they belong to Node's main thread) and an 8 MB stack
// (musl and macOS give 128 KB and 512 KB; ggml builds its graphs recursively).
#pragma once

#include <functional>
#include <memory>

#ifdef _WIN32
#    include <thread>
#else
#    include <pthread.h>
#endif

namespace qvl {

class Thread {
  public:
    Thread() = default;
    Thread(const char * name, std::function<void()> body);  // name: at most 15 characters; throws Error
    Thread(const Thread &) = delete;
    Thread & operator=(const Thread &) = delete;
    Thread(Thread && other) noexcept;
    Thread & operator=(Thread && other) noexcept;
    ~Thread();  // joins

    bool joinable() const { return running_; }
    void join();
    // Gives the thread up: it may run on after this object. Only where the process ends anyway.
    void abandon();

  private:
    bool running_ = false;
#ifdef _WIN32
    std::thread handle_;
#else
    pthread_t handle_{};
#endif
};

}  // namespace qvl
