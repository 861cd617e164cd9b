// The smallest test harness: a failed check prints where, run() returns the exit status of the program.
#pragma once

#include "error.h"

#include <functional>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

namespace check {

struct Test {
    const char * name;
    void (*body)();
};

inline std::vector<Test> & tests() {
    static std::vector<Test> all;
    return all;
}

inline int failures = 0;

// Exit status of a program whose tests this machine cannot run.
constexpr int kSkipped = 77;

struct Registered {
    Registered(const char * name, void (*body)()) { tests().push_back({name, body}); }
};

inline void fail(const char * file, int line, const std::string & what) {
    failures++;
    std::cerr << file << ":" << line << ": " << what << "\n";
}

template <typename A, typename B>
void equal(const A & actual, const B & expected, const char * text, const char * file, int line) {
    if (!(actual == expected)) {
        fail(file, line, std::string(text) + " is not what it should be");
        if constexpr (std::is_arithmetic_v<A> || std::is_same_v<A, std::string>) {
            std::cerr << "  is:        " << actual << "\n  should be: " << expected << "\n";
        }
    }
}

// The code of the qvl::Error that `body` throws; empty when it throws none.
inline std::string code_of(const std::function<void()> & body) {
    try {
        body();
    } catch (const qvl::Error & error) {
        return error.code();
    }
    return {};
}

inline int run() {
    for (const auto & test : tests()) {
        const int before = failures;
        test.body();
        std::cout << (failures == before ? "ok   " : "FAIL ") << test.name << "\n";
    }
    return failures == 0 ? 0 : 1;
}

}  // namespace check

#define TEST(name)                                                                                                     \
    static void name();                                                                                                \
    static const check::Registered registered_##name{#name, name};                                                     \
    static void name()
#define CHECK(condition)                                                                                               \
    if (!(condition))                                                                                                  \
    check::fail(__FILE__, __LINE__, #condition)
#define CHECK_EQ(actual, expected) check::equal(actual, expected, #actual, __FILE__, __LINE__)
