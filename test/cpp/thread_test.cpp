#include "thread.h"

#include "check.h"

#include <atomic>
#include <csignal>

using qvl::Thread;

TEST(a_joined_thread_has_run) {
    std::atomic<bool> ran{false};
    Thread thread("qvl-test", [&] { ran = true; });
    CHECK(thread.joinable());
    thread.join();
    CHECK(ran);
    CHECK(!thread.joinable());
    thread.join();  // nothing left to do
}

TEST(the_destructor_joins) {
    std::atomic<bool> ran{false};
    {
        const Thread thread("qvl-test", [&] { ran = true; });
    }
    CHECK(ran);
}

TEST(moving_gives_the_thread_away) {
    std::atomic<int> runs{0};
    Thread first("qvl-test", [&] { runs++; });
    Thread second(std::move(first));
    CHECK(second.joinable());
    second = Thread("qvl-test", [&] { runs++; });  // joins the one it had
    second.join();
    CHECK_EQ(runs.load(), 2);
}

#ifndef _WIN32
TEST(signals_are_left_to_the_host) {
    sigset_t blocked;
    sigemptyset(&blocked);
    std::string name(16, '\0');
    Thread thread("qvl-test", [&] {
        pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
        pthread_getname_np(pthread_self(), name.data(), name.size());
    });
    thread.join();
    for (const int signal : {SIGINT, SIGTERM, SIGUSR1, SIGCHLD}) {
        CHECK_EQ(sigismember(&blocked, signal), 1);
    }
    CHECK_EQ(std::string(name.c_str()), "qvl-test");
    sigset_t here;
    pthread_sigmask(SIG_BLOCK, nullptr, &here);
    CHECK_EQ(sigismember(&here, SIGTERM), 0);
}

TEST(the_stack_is_large_everywhere) {
    bool survived = false;
    Thread thread("qvl-test", [&] {
        volatile char large[6 * 1024 * 1024];
        large[0] = 1;
        large[sizeof(large) - 1] = 1;
        survived = large[0] == 1;
    });
    thread.join();
    CHECK(survived);
}
#endif

int main() {
    return check::run();
}
