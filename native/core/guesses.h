// Chooses which answers of a step are guessed ahead, and with what: what stood in prompt or answer before, else the model's
// own head. Used by the engine thread only.
#pragma once

#include "baton.h"
#include "decoder.h"
#include "kv_memory.h"
#include "part.h"

#include <vector>

namespace qvl {

class Guesses {
  public:
    Guesses(Decoder & decoder, const KvMemory & memory, Baton * baton)
        : decoder_(decoder), memory_(memory), baton_(baton), head_(decoder.head()) {}

    // True: only the token is left to compute that was chosen last, and with a state those beside a wrong guess.
    bool prompt_done(const Running & run) const;
    // A token that is guessed right costs no step of its own: answers take up to `room` that is left in a step.
    void add(std::vector<Part> & parts, int room) const;
    // The parts were computed, and what follows them is chosen: the head hears of their rows.
    void learn(const std::vector<Part> & parts) const;
    // The picture items[item] was computed, its last row in the batch is `row`.
    void learn_picture(const Running & run, size_t item, int row) const;

  private:
    bool wanted(const Part & part, int room) const;
    void ask_head(std::vector<Part> & parts, int room) const;

    Decoder & decoder_;
    const KvMemory & memory_;
    Baton * baton_;
    MtpHead * head_;
};

}  // namespace qvl
