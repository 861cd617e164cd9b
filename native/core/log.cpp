#include "log.h"

#include "llama.h"
#include "mtmd-helper.h"
#include "mtmd.h"

namespace qvl {

namespace {
constexpr size_t kMaxLines = 20;
thread_local LogTail * current = nullptr;
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

void capture_logs() {
    const auto sink = [](ggml_log_level level, const char * text, void *) {
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
