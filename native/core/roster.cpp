#include "roster.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace qvl {

namespace {

// Fewer cells than this are computed twice rather than waited for.
constexpr int32_t kWorthWaiting = 32;
// Room that an answer under way should find before another one is admitted.
constexpr int32_t kHeadroom = 64;

}  // namespace

Roster::Roster(const EngineParams & params, const Model & model, Encoder * encoder, KvMemory & memory,
               PromptCache * prompts, RequestQueue & queue, const EventSink & emit)
    : params_(params), model_(model), encoder_(encoder), memory_(memory), prompts_(prompts), queue_(queue),
      emit_(emit) {}

void Roster::end_cancelled() {
    for (auto & run : running_) {
        if (run->generation->request().cancelled) {
            run->generation->cancel();
        }
    }
    remove_ended();
    for (auto & generation : put_aside_) {
        if (generation->request().cancelled) {
            generation->cancel();
            ended_.push_back(std::move(generation));
        }
    }
    put_aside_.erase(std::remove(put_aside_.begin(), put_aside_.end(), nullptr), put_aside_.end());
}

void Roster::admit() {
    while (make_place()) {
        auto generation = next_waiting();
        if (!generation) {
            return;
        }
        while (!start(generation)) {
            if (!put_aside_unread()) {
                put_aside_.push_back(std::move(generation));
                return;
            }
        }
    }
}

// True if another answer can take part; whom nobody reads makes place for who waits.
bool Roster::make_place() {
    if (running_.size() < static_cast<size_t>(params_.parallel)) {
        return true;
    }
    const bool somebody_waits = !queue_.empty() || std::any_of(put_aside_.begin(), put_aside_.end(),
                                                               [](const auto & g) { return !g->parked(); });
    return somebody_waits && put_aside_unread();
}

std::unique_ptr<Generation> Roster::next_waiting() {
    auto best = put_aside_.end();
    for (auto each = put_aside_.begin(); each != put_aside_.end(); ++each) {
        const auto before = [](const Request & a, const Request & b) {
            return a.priority != b.priority ? a.priority > b.priority : a.submitted < b.submitted;
        };
        if (!(*each)->parked() && (best == put_aside_.end() || before((*each)->request(), (*best)->request()))) {
            best = each;
        }
    }
    const int priority = best == put_aside_.end() ? std::numeric_limits<int>::min() : (*best)->request().priority + 1;
    while (auto request = queue_.take(priority)) {
        const int64_t id = request->id;
        try {
            return std::make_unique<Generation>(std::move(request), model_, encoder_, params_.context_size, emit_);
        } catch (const Error & error) {
            emit_({id, RequestError{error.code(), error.message(), error.detail()}});
        } catch (const std::bad_alloc &) {
            emit_({id, RequestError{"OUT_OF_MEMORY", "There was not enough memory for this request.", ""}});
        }
    }
    if (best == put_aside_.end()) {
        return nullptr;
    }
    auto generation = std::move(*best);
    put_aside_.erase(best);
    return generation;
}

// False: there is no room in the KV memory now.
bool Roster::start(std::unique_ptr<Generation> & generation) {
    auto run = std::make_unique<Running>();
    run->generation = std::move(generation);
    run->sequence = memory_.open(run->generation->items());
    run->number = ++admissions_;
    if (!has_room(*run)) {
        memory_.close(run->sequence);
        generation = std::move(run->generation);
        return false;
    }
    run->generation->admitted();
    run->generation->reached(computed(*run), true);
    const auto & items = run->generation->items();
    if (prompts_ != nullptr && run->generation->may_be_on_disk()) {
        run->search = prompts_->search(items, computed(*run));
    }
    for (const auto & other : running_) {
        const size_t common = common_prefix(other->generation->items(), items);
        if (cells_between(items, std::min(computed(*other), common), common) >= kWorthWaiting) {
            run->leaders[other->number] = common;
            memory_.expect_branch(other->sequence, common);
        }
    }
    running_.push_back(std::move(run));
    return true;
}

// Whether the prompt and what runs already will fit; caches go for that.
bool Roster::has_room(const Running & run) {
    const auto & items = run.generation->items();
    int64_t needed = cells_between(items, computed(run), items.size());
    for (const auto & other : running_) {
        const auto & others = other->generation->items();
        needed += cells_between(others, computed(*other), others.size()) + kHeadroom;
    }
    while (memory_.free_cells() < needed) {
        if (!memory_.forget_oldest()) {
            return running_.empty();  // alone it has the whole memory
        }
    }
    return true;
}

void Roster::make_room() {
    const int32_t free = memory_.free_cells();
    while (memory_.forget_oldest()) {
        if (memory_.free_cells() > free) {  // else others hold the same cells
            return;
        }
    }
    if (put_aside_unread()) {
        return;
    }
    if (running_.size() > 1) {
        put_aside_last();
        return;
    }
    running_.front()->generation->fail(Error("CONTEXT_OVERFLOW",
                                             "The context is full. Use a larger `contextSize`, a shorter prompt, or "
                                             "a lower `maxPixels`."));
}

void Roster::put_aside_last() {
    size_t last = 0;
    for (size_t i = 1; i < running_.size(); i++) {
        if (running_[i]->generation->request().priority <= running_[last]->generation->request().priority) {
            last = i;
        }
    }
    put_aside(last);
}

bool Roster::put_aside_unread() {
    for (size_t i = 0; i < running_.size(); i++) {
        if (running_[i]->generation->parked()) {
            put_aside(i);
            return true;
        }
    }
    return false;
}

void Roster::put_aside(size_t index) {
    auto run = std::move(running_[index]);
    running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(index));
    put_aside_.push_back(leave(*run));
}

// Its sequence stays as a cache, without the picture that is half computed.
std::unique_ptr<Generation> Roster::leave(Running & run) {
    if (run.rows_done > 0) {
        memory_.drop_from(run.sequence, run.generation->items()[computed(run)].position);
    }
    memory_.close(run.sequence);
    return std::move(run.generation);
}

bool Roster::waits_for_disk(Running & run) {
    if (!run.search) {
        return false;
    }
    if (!run.search->done) {
        return true;
    }
    const auto search = std::exchange(run.search, nullptr);
    const auto & items = run.generation->items();
    memory_.catch_up(run.sequence, items);  // one beside it may have taken the same
    if (search->found && search->found->items.size() > computed(run) &&
        common_prefix(search->found->items, items) == search->found->items.size() &&
        !memory_.restore_into(run.sequence, *search->found)) {
        return false;
    }
    run.generation->reached(computed(run), true);
    return false;
}

bool Roster::waits_for_leader(const Running & run) const {
    return std::any_of(running_.begin(), running_.end(), [&](const auto & other) { return leads(*other, run); });
}

int Roster::urgency(const Running & run) const {
    int most = run.generation->request().priority;
    for (const auto & other : running_) {
        if (leads(run, *other)) {
            most = std::max(most, other->generation->request().priority);
        }
    }
    return most;
}

bool Roster::leads(const Running & run, const Running & follower) const {
    const auto leader = follower.leaders.find(run.number);
    if (leader == follower.leaders.end() || follower.rows_done > 0 || run.generation->finished() ||
        run.generation->parked()) {
        return false;
    }
    const size_t done = computed(follower);
    const size_t common = leader->second;
    return computed(run) < common && computed(run) >= done &&
           cells_between(follower.generation->items(), done, common) >= kWorthWaiting;
}

void Roster::remove_ended() {
    for (auto & run : running_) {
        if (run->generation->finished()) {
            ended_.push_back(leave(*run));
            run.reset();
        }
    }
    running_.erase(std::remove(running_.begin(), running_.end(), nullptr), running_.end());
}

void Roster::tell_ended() {
    for (auto & generation : std::exchange(ended_, {})) {
        generation->finish();
    }
}

void Roster::finish() {
    for (auto & run : running_) {
        put_aside_.push_back(std::move(run->generation));
    }
    running_.clear();
    for (auto & generation : put_aside_) {
        generation->cancel();
        generation->finish();
    }
    put_aside_.clear();
}

}  // namespace qvl
