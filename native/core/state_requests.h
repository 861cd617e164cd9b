// Requests that keep what was computed of a prompt in a file, or take it back from one. The engine thread copies between
// KV memory and bytes, a thread of its own does what waits for the disk.
#pragma once

#include "event.h"
#include "kv_memory.h"
#include "request_queue.h"
#include "state_file.h"
#include "worker.h"

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace qvl {

class StateRequests {
  public:
    // `wake` is called from the other thread when there is something to serve.
    StateRequests(KvMemory & memory, const EventSink & emit, std::function<void()> wake);
    ~StateRequests();

    // Engine thread. Begins those that wait in `queue`, and puts into the KV memory what was read.
    void serve(RequestQueue & queue);
    // Engine thread. Tells of those that are back in the KV memory.
    void tell_ended();
    // Engine thread. Waits for the file that is being written; ends the rest as cancelled.
    void finish();

  private:
    struct Job {
        std::shared_ptr<Request> request;
        std::optional<StoredSequence> sequence;  // to be written, or as it was read
        bool restored = false;
    };

    void begin(std::shared_ptr<Request> request);
    void write(const Job & job);
    void read(const std::shared_ptr<Job> & job);
    void end(const Job & job, int32_t tokens, bool cancelled);

    KvMemory & memory_;
    const EventSink & emit_;
    const std::function<void()> wake_;
    std::mutex mutex_;
    std::vector<std::shared_ptr<Job>> read_;
    std::vector<std::shared_ptr<Job>> ended_;  // the engine thread's
    std::atomic<bool> stopping_{false};
    std::optional<Worker> worker_;  // from the first request on
};

}  // namespace qvl
