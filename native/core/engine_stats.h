// What an engine is doing and holding, as numbers.
#pragma once

#include "embedding_cache.h"

#include <atomic>
#include <cstdint>

namespace qvl {

// Written by the engine thread after every turn, read by any.
struct Standing {
    std::atomic<int> running{0};    // answers that are computed
    std::atomic<int> put_aside{0};  // answers that wait for room, or for a reader
    std::atomic<int32_t> cells{0};  // of the KV memory
    std::atomic<int32_t> used_cells{0};
    std::atomic<int> cached_sequences{0};  // that nobody uses at the moment
};

struct EngineStats {
    int running = 0;
    int waiting = 0;
    int32_t cells = 0;
    int32_t used_cells = 0;
    int cached_sequences = 0;
    CacheStats embeddings{};
};

}  // namespace qvl
