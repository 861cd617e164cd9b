// Who takes part: the answers that are computed side by side, and those that were put aside until there is room or
// somebody reads them. Used by the engine thread only.
#pragma once

#include "encoder.h"
#include "generation.h"
#include "kv_memory.h"
#include "prompt_cache.h"
#include "request_queue.h"

#include <map>
#include <memory>
#include <vector>

namespace qvl {

struct Running {
    std::unique_ptr<Generation> generation;
    int sequence;
    uint64_t number;                       // in the order of admission
    std::map<uint64_t, size_t> leaders{};  // earlier ones that will compute so many items of this prompt too
    bool follows = false;                  // has waited for a leader
    std::shared_ptr<const PromptCache::Search> search{};  // for what another process computed
    size_t rows_done = 0;                                 // of the picture that comes next
    uint64_t served = 0;                                  // turn that last computed of its prompt
    int urgency = 0;                                      // in this turn
};

class Roster {
  public:
    // `prompts`: nullptr if none are kept.
    Roster(const EngineParams & params, const Model & model, Encoder * encoder, KvMemory & memory,
           PromptCache * prompts, RequestQueue & queue, const EventSink & emit);

    // In the order of admission. The addresses stay until one ends or is put aside.
    const std::vector<std::unique_ptr<Running>> & running() const { return running_; }
    size_t computed(const Running & run) const { return memory_.at(run.sequence).size(); }
    // True while what was computed of its prompt is looked for; what was found is taken then.
    bool waits_for_disk(Running & run);
    // True if an earlier one is about to compute what this one needs.
    bool waits_for_leader(const Running & run) const;
    // The highest priority of this one and of those that wait for it.
    int urgency(const Running & run) const;

    size_t put_aside_count() const { return put_aside_.size(); }

    void admit();
    void end_cancelled();
    void remove_ended();
    // Tells those that were removed of their end: apart, so that counts are true by then.
    void tell_ended();
    // The KV memory is full: caches go, or the cells of whom nobody reads; else the last one of the lowest priority waits
    // until there is room again, and who is alone fails.
    void make_room();
    // Ends everything as cancelled.
    void finish();

  private:
    bool make_place();
    void put_aside_last();
    // False if everybody is read.
    bool put_aside_unread();
    std::unique_ptr<Generation> next_waiting();
    bool start(std::unique_ptr<Generation> & generation);
    bool has_room(const Running & run);
    bool leads(const Running & run, const Running & follower) const;
    void put_aside(size_t index);
    std::unique_ptr<Generation> leave(Running & run);

    const EngineParams & params_;
    const Model & model_;
    Encoder * encoder_;
    KvMemory & memory_;
    PromptCache * prompts_;
    RequestQueue & queue_;
    const EventSink & emit_;
    std::vector<std::unique_ptr<Running>> running_;
    std::vector<std::unique_ptr<Generation>> put_aside_;
    std::vector<std::unique_ptr<Generation>> ended_;  // that have not been told
    uint64_t admissions_ = 0;
};

}  // namespace qvl
