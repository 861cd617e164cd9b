#include "log.h"

#include "check.h"

#include "ggml.h"
#include "llama.h"
#include "thread.h"

using qvl::LogTail;

namespace qvl {
void keep_log_line(const char * text);
void hear_log_text(const char * level, const char * text);
}  // namespace qvl

TEST(lines_are_kept_while_a_tail_lives) {
    qvl::keep_log_line("before\n");
    LogTail tail;
    qvl::keep_log_line("one\n");
    qvl::keep_log_line("two, ");
    qvl::keep_log_line("continued\n");
    CHECK_EQ(tail.text(), "one\ntwo, continued");
}

TEST(the_last_lines_are_kept) {
    LogTail tail;
    for (int i = 0; i < 100; i++) {
        qvl::keep_log_line((std::to_string(i) + "\n").c_str());
    }
    const std::string text = tail.text();
    CHECK_EQ(text.substr(text.rfind('\n') + 1), "99");
    CHECK(text.size() < 100);
    CHECK(text.find("50\n") == std::string::npos);
}

TEST(the_innermost_tail_collects) {
    LogTail outer;
    qvl::keep_log_line("outside\n");
    {
        LogTail inner;
        qvl::keep_log_line("inside\n");
        CHECK_EQ(inner.text(), "inside");
    }
    qvl::keep_log_line("outside again\n");
    CHECK_EQ(outer.text(), "outside\noutside again");
}

TEST(another_thread_has_its_own) {
    LogTail tail;
    qvl::Thread thread("qvl-test", [] { qvl::keep_log_line("elsewhere\n"); });
    thread.join();
    CHECK_EQ(tail.text(), "");
}

TEST(a_listener_hears_whole_lines_with_their_levels) {
    std::string heard;
    {
        const qvl::LogListener listener(
            [&](const char * level, std::string line) { heard += std::string(level) + ":" + line + ";"; });
        qvl::hear_log_text("info", "one\ntwo, ");
        qvl::hear_log_text(nullptr, "continued\n\n");
        qvl::hear_log_text("warn", "unfinished");
        qvl::Thread thread("qvl-test", [] { qvl::hear_log_text("error", "elsewhere\n"); });
        thread.join();
    }
    qvl::hear_log_text("error", "afterwards\n");
    CHECK_EQ(heard, "info:one;info:two, continued;");
}

TEST(nobody_need_listen) {
    const qvl::LogListener listener({});
    qvl::hear_log_text("info", "nobody\n");
}

TEST(what_upstream_logs_arrives) {
    qvl::capture_logs();
    LogTail tail;
    CHECK(llama_model_load_from_file("/does/not/exist.gguf", llama_model_default_params()) == nullptr);
    CHECK(tail.text().find("exist.gguf") != std::string::npos);
}

int main() {
    return check::run();
}
