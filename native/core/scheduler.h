// Decides what is computed next. A turn gives every answer that is being generated its next token and the rest of the step
// to prompts, which take turns. Used by the engine thread only.
#pragma once

#include "baton.h"
#include "decoder.h"
#include "encoder.h"
#include "engine_stats.h"
#include "guesses.h"
#include "kv_memory.h"
#include "part.h"
#include "picture_requests.h"
#include "request_queue.h"
#include "roster.h"
#include "state_requests.h"
#include "step_budget.h"

#include <functional>
#include <vector>

namespace qvl {

class Scheduler {
  public:
    // `encoder`, `prompts` and `baton` may be nullptr: no pictures; no prompts on the disk; no need to take turns with the
    // encoder. `wake`, from any thread: there is something to do.
    Scheduler(const EngineParams & params, Decoder & decoder, Encoder * encoder, PromptCache * prompts, Baton * baton,
              RequestQueue & queue, Standing & standing, const EventSink & emit, std::function<bool()> stopping,
              std::function<void()> wake);

    // Ends what was cancelled, admits what waits, computes one step. False: nothing to do until something changes.
    bool turn();
    // Ends everything as cancelled.
    void finish();

  private:
    std::vector<Part> plan();
    void keep_one_adapter_set(std::vector<Part> & parts) const;
    bool generates(const Running & run) const;
    std::vector<Running *> prompts();
    size_t text_end(const Running & run, size_t begin, int most) const;
    bool compute(std::vector<Part> parts);
    void keep(std::vector<Part> & parts, double ms);
    void drop(const std::vector<Part> & parts);
    void sample(Part & part);
    void sample_with(const Part & part, int index);
    bool compute_picture();
    void keep_prompt(const Running & run);
    void compute_rows(Running & run, const std::vector<float> & rows);
    void forget_all();
    void tell();

    std::function<bool()> unwanted(const std::vector<Part> & parts) const;

    const EngineParams & params_;
    Decoder & decoder_;
    PromptCache * prompts_;
    Baton * baton_;
    RequestQueue & queue_;
    Standing & standing_;
    const std::function<bool()> stopping_;
    KvMemory memory_;
    Roster roster_;
    Guesses guesses_;
    PictureRequests pictures_;
    StateRequests states_;
    StepBudget budget_;
    const int n_vocab_;
    uint64_t turns_ = 0;
    int solo_turns_ = 0;  // so many steps compute one part alone, to find the one that fails
};

}  // namespace qvl
