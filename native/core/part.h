// A part of a step: tokens of one answer or prompt.
#pragma once

#include "roster.h"

#include <cstdint>
#include <vector>

namespace qvl {

struct Part {
    Running * run;
    size_t begin;  // items [begin, end) of the answer
    size_t end;
    std::vector<int32_t> guessed = {};  // tokens that may follow
    int index = 0;                      // of the first item in the batch
    int logits = -1;                    // index in the batch; those of the guessed tokens follow
    size_t right = 0;                   // guessed tokens that became part of the answer
};

}  // namespace qvl
