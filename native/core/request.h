// The part of a request that several threads touch.
#pragma once

#include "params.h"

#include <atomic>
#include <chrono>
#include <utility>
#include <variant>

namespace qvl {

using Clock = std::chrono::steady_clock;

inline double milliseconds_since(Clock::time_point start) {
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

using RequestParams = std::variant<GenerateParams, EncodeParams, SaveStateParams, RestoreStateParams>;

struct Request {
    Request(int64_t request_id, RequestParams request_params, int request_priority = 0)
        : id(request_id), params(std::move(request_params)), priority(request_priority) {}

    const int64_t id;
    RequestParams params;
    const int priority;  // the higher goes first
    const Clock::time_point submitted = Clock::now();
    std::atomic<bool> cancelled{false};
    // Text events that JavaScript has not consumed yet.
    std::atomic<int> unread{0};
};

}  // namespace qvl
