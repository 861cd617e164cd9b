#include "state_requests.h"

#include "adapter.h"
#include "error.h"

#include <new>
#include <utility>

namespace qvl {

namespace {

std::vector<SequenceItem> items_of(const SaveStateParams & params) {
    auto items = Sequence::flatten(params.segments);
    for (auto & item : items) {
        item.adapters = adapters_identity(params.adapters);
    }
    return items;
}

RequestError out_of_memory() {
    return {"OUT_OF_MEMORY", "There was not enough memory to keep what was computed.", ""};
}

int32_t cells_of(const StoredSequence & sequence) {
    int32_t cells = 0;
    for (const auto & item : sequence.items) {
        cells += item.cells;
    }
    return cells;
}

}  // namespace

StateRequests::StateRequests(KvMemory & memory, const EventSink & emit, std::function<void()> wake)
    : memory_(memory), emit_(emit), wake_(std::move(wake)) {}

StateRequests::~StateRequests() {
    finish();
}

void StateRequests::serve(RequestQueue & queue) {
    for (auto & request : queue.take_states()) {
        const int64_t id = request->id;
        try {
            begin({std::move(request), std::nullopt});
        } catch (const Error & error) {
            emit_({id, RequestError{error.code(), error.message(), error.detail()}});
        } catch (const std::bad_alloc &) {
            emit_({id, out_of_memory()});
        }
    }
    std::vector<Job> read;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        read.swap(read_);
    }
    for (auto & job : read) {
        const bool restored = job.sequence && !job.request->cancelled && memory_.restore(*job.sequence);
        end(job, restored ? cells_of(*job.sequence) : 0, job.request->cancelled);
    }
}

void StateRequests::begin(Job job) {
    if (!thread_.joinable()) {
        thread_ = Thread("qvl-state", [this] { work(); });
    }
    if (const auto * save = std::get_if<SaveStateParams>(&job.request->params)) {
        job.sequence = memory_.store(items_of(*save));
        if (!job.sequence) {
            end(job, 0, false);
            return;
        }
    }
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        jobs_.push_back(std::move(job));
    }
    changed_.notify_all();
}

void StateRequests::finish() {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
    for (auto & job : std::exchange(jobs_, {})) {
        end(job, 0, true);
    }
    for (auto & job : std::exchange(read_, {})) {
        end(job, 0, true);
    }
}

void StateRequests::work() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
        changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
        if (stopping_) {
            return;
        }
        Job job = std::move(jobs_.front());
        jobs_.pop_front();
        lock.unlock();
        do_job(job);
        lock.lock();
    }
}

// Writes and ends, or reads and leaves the rest to the engine thread.
void StateRequests::do_job(Job & job) {
    const auto stop = [&] { return job.request->cancelled.load(); };
    try {
        if (const auto * save = std::get_if<SaveStateParams>(&job.request->params)) {
            job.bytes = append_state(save->path, save->identity, *job.sequence, stop);
            end(job, cells_of(*job.sequence), stop());
            return;
        }
        const auto & restore = std::get<RestoreStateParams>(job.request->params);
        job.sequence = read_state(restore.path, restore.offset, restore.identity, job.bytes);
    } catch (const Error & error) {
        emit_({job.request->id, RequestError{error.code(), error.message(), error.detail()}});
        return;
    } catch (const std::bad_alloc &) {
        emit_({job.request->id, out_of_memory()});
        return;
    }
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        read_.push_back(std::move(job));
    }
    wake_();
}

void StateRequests::end(const Job & job, int32_t tokens, bool cancelled) {
    if (!cancelled) {
        emit_({job.request->id, StateKept{tokens, tokens > 0 ? job.bytes : 0}});
    }
    End end;
    end.reason = cancelled ? "cancelled" : "stop";
    emit_({job.request->id, std::move(end)});
}

}  // namespace qvl
