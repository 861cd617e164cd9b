// What the upstream libraries log is kept, not printed: the last lines explain an error, and who wants it hears all of it.
#pragma once

#include <deque>
#include <functional>
#include <string>

namespace qvl {

// Collects the lines logged on this thread while it lives. Nested tails: the innermost collects.
class LogTail {
  public:
    LogTail();
    ~LogTail();
    LogTail(const LogTail &) = delete;
    LogTail & operator=(const LogTail &) = delete;

    // The last lines, oldest first, joined by newlines.
    std::string text() const;

  private:
    friend void keep_log_line(const char * text);
    LogTail * outer_;
    std::deque<std::string> lines_;
};

// What the innermost tail of this thread has collected; empty without one.
std::string last_log();

// Hears every line logged on this thread while it lives. One a thread.
class LogListener {
  public:
    // `level`: "debug", "info", "warn" or "error". Must not throw.
    using Heard = std::function<void(const char * level, std::string line)>;

    // Does nothing if `heard` is empty.
    explicit LogListener(Heard heard);
    ~LogListener();
    LogListener(const LogListener &) = delete;
    LogListener & operator=(const LogListener &) = delete;

  private:
    friend void hear_log_text(const char * level, const char * text);
    const Heard heard_;
    const char * level_ = "info";
    std::string line_;  // so far
};

// Routes the process-global log callbacks of llama, ggml and mtmd into the tails. Called once, before anything else.
void capture_logs();

}  // namespace qvl
