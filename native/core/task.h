// One admitted request: prompt, encode, prefill, generate. Runs on the engine thread.
#pragma once

#include "decoder.h"
#include "event.h"
#include "model.h"
#include "params.h"
#include "vision.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <variant>

namespace qvl {

using Clock = std::chrono::steady_clock;

inline double milliseconds_since(Clock::time_point start) {
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// The part of a request that both threads touch.
struct Request {
    Request(int64_t request_id, std::variant<GenerateParams, EncodeParams> request_params)
        : id(request_id), params(std::move(request_params)) {}

    const int64_t id;
    std::variant<GenerateParams, EncodeParams> params;
    const Clock::time_point submitted = Clock::now();
    std::atomic<bool> cancelled{false};
    // Text events that JavaScript has not consumed yet.
    std::atomic<int> unread{0};
};

// What a task uses of its engine. `wait_for_reader` parks the thread until the request was read, cancelled or the
// engine closes.
struct TaskContext {
    const Model & model;
    Decoder & decoder;
    Vision * vision;  // nullptr: text only
    const EventSink & emit;
    std::function<bool()> cancelled;
    std::function<void(Request &)> wait_for_reader;
};

// Runs the request to its end. Throws Error for what ends it early; the engine reports that.
void run_generate(Request & request, const TaskContext & context);
void run_encode(Request & request, const TaskContext & context);

}  // namespace qvl
