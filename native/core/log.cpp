#include "log.h"

#include "llama.h"
#include "mtmd-helper.h"
#include "mtmd.h"

#include <utility>

namespace qvl {

namespace {
constexpr size_t kMaxLines = 20;
thread_local LogTail * current = nullptr;
thread_local LogListener * listener = nullptr;

// nullptr: goes on with the line before.
const char * name_of(ggml_log_level level) {
    switch (level) {
        case GGML_LOG_LEVEL_DEBUG:
            return "debug";
        case GGML_LOG_LEVEL_WARN:
            return "warn";
        case GGML_LOG_LEVEL_ERROR:
            return "error";
        case GGML_LOG_LEVEL_CONT:
            return nullptr;
        default:
            return "info";
    }
}
}  // namespace

void keep_log_line(const char * text) {
    if (current == nullptr) {
        return;
    }
    auto & lines = current->lines_;
    // A line may come in several calls: only one that ends in a newline completes it.
    if (lines.empty() || (!lines.back().empty() && lines.back().back() == '\n')) {
        lines.emplace_back();
    }
    lines.back() += text;
    if (lines.size() > kMaxLines) {
        lines.pop_front();
    }
}

LogTail::LogTail() : outer_(current) {
    current = this;
}

LogTail::~LogTail() {
    current = outer_;
}

std::string LogTail::text() const {
    std::string all;
    for (const auto & line : lines_) {
        all += line;
    }
    while (!all.empty() && all.back() == '\n') {
        all.pop_back();
    }
    return all;
}

std::string last_log() {
    return current == nullptr ? "" : current->text();
}

LogListener::LogListener(Heard heard) : heard_(std::move(heard)) {
    if (heard_) {
        listener = this;
    }
}

LogListener::~LogListener() {
    if (listener == this) {
        listener = nullptr;
    }
}

void hear_log_text(const char * level, const char * text) {
    if (listener == nullptr) {
        return;
    }
    listener->level_ = level != nullptr ? level : listener->level_;
    for (; *text != '\0'; text++) {
        if (*text != '\n') {
            listener->line_ += *text;
        } else if (!listener->line_.empty()) {
            listener->heard_(listener->level_, std::exchange(listener->line_, {}));
        }
    }
}

void capture_logs() {
    const auto sink = [](ggml_log_level level, const char * text, void *) {
        hear_log_text(name_of(level), text);
        // Info lines are hundreds a load; an error is explained by warnings and errors (and their continuations).
        if (level == GGML_LOG_LEVEL_WARN || level == GGML_LOG_LEVEL_ERROR || level == GGML_LOG_LEVEL_CONT) {
            keep_log_line(text);
        }
    };
    llama_log_set(sink, nullptr);
    mtmd_log_set(sink, nullptr);
    mtmd_helper_log_set(sink, nullptr);
}

}  // namespace qvl
