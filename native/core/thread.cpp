#include "thread.h"

#include "error.h"

#include <string>
#include <utility>

#ifndef _WIN32
#    include <csignal>
#endif

namespace qvl {

#ifdef _WIN32

Thread::Thread(const char *, std::function<void()> body) : running_(true), handle_(std::move(body)) {}

void Thread::join() {
    if (running_) {
        running_ = false;
        handle_.join();
    }
}

void Thread::abandon() {
    if (running_) {
        running_ = false;
        handle_.detach();
    }
}

#else

namespace {

constexpr size_t kStackBytes = 8 * 1024 * 1024;

struct Start {
    std::string name;
    std::function<void()> body;
};

void * run(void * argument) {
    const std::unique_ptr<Start> start(static_cast<Start *>(argument));
#    if defined(__APPLE__)
    pthread_setname_np(start->name.c_str());
#    else
    pthread_setname_np(pthread_self(), start->name.c_str());
#    endif
    start->body();
    return nullptr;
}

}  // namespace

Thread::Thread(const char * name, std::function<void()> body) {
    auto start = std::make_unique<Start>(Start{name, std::move(body)});
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, kStackBytes);
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);  // inherited by the new thread
    const int failed = pthread_create(&handle_, &attributes, run, start.get());
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    pthread_attr_destroy(&attributes);
    if (failed != 0) {
        throw Error("OUT_OF_MEMORY", "The operating system refused a new thread. Close other programs and try again.");
    }
    start.release();  // owned by run() now
    running_ = true;
}

void Thread::join() {
    if (running_) {
        running_ = false;
        pthread_join(handle_, nullptr);
    }
}

void Thread::abandon() {
    if (running_) {
        running_ = false;
        pthread_detach(handle_);
    }
}

#endif

Thread::Thread(Thread && other) noexcept
    : running_(std::exchange(other.running_, false)), handle_(std::move(other.handle_)) {}

Thread & Thread::operator=(Thread && other) noexcept {
    if (this != &other) {
        join();
        running_ = std::exchange(other.running_, false);
        handle_ = std::move(other.handle_);
    }
    return *this;
}

Thread::~Thread() {
    join();
}

}  // namespace qvl
