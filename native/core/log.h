// What the upstream libraries log is kept, not printed: the last lines explain an error.
#pragma once

#include <deque>
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

// Routes the process-global log callbacks of llama, ggml and mtmd into the tails. Called once, before anything else.
void capture_logs();

}  // namespace qvl
