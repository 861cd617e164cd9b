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

RequestError not_writable(const std::error_code & reason) {
    return {"CHAT_NOT_WRITABLE",
            "The KV memory of the chat cannot be written (" + reason.message() +
                "). Make room, name another place, or save without `kv`.",
            ""};
}

int32_t cells_of(const StoredSequence & sequence) {
    return static_cast<int32_t>(cells_between(sequence.items, 0, sequence.items.size()));
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
            begin(std::move(request));
        } catch (const Error & error) {
            emit_({id, RequestError{error.code(), error.message(), error.detail()}});
        } catch (const std::bad_alloc &) {
            emit_({id, out_of_memory()});
        }
    }
    std::vector<std::shared_ptr<Job>> read;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        read.swap(read_);
    }
    for (auto & job : read) {
        job->restored = job->sequence && !job->request->cancelled && memory_.restore(*job->sequence);
        ended_.push_back(std::move(job));
    }
}

void StateRequests::tell_ended() {
    for (const auto & job : std::exchange(ended_, {})) {
        end(*job, job->restored ? cells_of(*job->sequence) : 0, job->request->cancelled);
    }
}

void StateRequests::begin(std::shared_ptr<Request> request) {
    if (!worker_) {
        worker_.emplace("qvl-state");
    }
    const auto job = std::make_shared<Job>(Job{std::move(request), std::nullopt, false});
    if (const auto * save = std::get_if<SaveStateParams>(&job->request->params)) {
        job->sequence = memory_.store(items_of(*save));
        if (!job->sequence) {
            end(*job, 0, false);
            return;
        }
        worker_->post([this, job] { write(*job); });
    } else {
        worker_->post([this, job] { read(job); });
    }
}

void StateRequests::finish() {
    stopping_ = true;
    worker_.reset();
    for (const auto & job : std::exchange(read_, {})) {
        end(*job, 0, true);
    }
}

void StateRequests::write(const Job & job) {
    const auto & params = std::get<SaveStateParams>(job.request->params);
    const auto stop = [&] { return job.request->cancelled || stopping_; };
    try {
        const auto failed = append_state(std::filesystem::u8path(params.path), params.identity, *job.sequence, stop);
        if (failed) {
            emit_({job.request->id, not_writable(failed)});
        } else {
            end(job, cells_of(*job.sequence), stop());
        }
    } catch (const std::bad_alloc &) {
        emit_({job.request->id, out_of_memory()});
    }
}

// The rest is the engine thread's.
void StateRequests::read(const std::shared_ptr<Job> & job) {
    const auto & params = std::get<RestoreStateParams>(job->request->params);
    try {
        job->sequence = read_state(std::filesystem::u8path(params.path), params.offset, params.identity);
    } catch (const std::bad_alloc &) {
        job->sequence.reset();  // it only saves time
    }
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        read_.push_back(job);
    }
    wake_();
}

void StateRequests::end(const Job & job, int32_t tokens, bool cancelled) {
    if (!cancelled) {
        const auto * save = std::get_if<SaveStateParams>(&job.request->params);
        const uint64_t bytes = save != nullptr && tokens > 0 ? state_bytes(save->identity, *job.sequence) : 0;
        emit_({job.request->id, StateKept{tokens, bytes}});
    }
    End end;
    end.reason = cancelled ? "cancelled" : "stop";
    emit_({job.request->id, std::move(end)});
}

}  // namespace qvl
