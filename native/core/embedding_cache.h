// What the vision encoder made of pictures, so that none is encoded twice: in memory, and in a folder that outlives the
// process. The least recently used goes first.
#pragma once

#include "embedding_files.h"
#include "error.h"
#include "first_warning.h"
#include "params.h"
#include "worker.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace qvl {

struct CacheStats {
    uint64_t memory_hits = 0;
    uint64_t disk_hits = 0;
    uint64_t misses = 0;
    uint64_t entries = 0;  // in memory
    uint64_t bytes = 0;    // of these
};

class EmbeddingCache {
  public:
    struct Found {
        SharedRows rows;
        bool on_disk;
    };
    // Hears of what went wrong, once. Called from a thread of the cache.
    using Warning = std::function<void(const Error &)>;

    // `encoder` names what makes the rows; it is part of every name on the disk.
    EmbeddingCache(const CacheParams & params, const std::string & encoder, Warning warning);

    // Any thread that may wait for a disk. Rows of `values` values that were kept under the hash of the picture.
    std::optional<Found> find(const std::string & hash, size_t values, Keep where);
    // Any thread, returns at once: a thread of the cache writes the file.
    void keep(const std::string & hash, const SharedRows & rows, Keep where);
    CacheStats stats() const;

  private:
    struct Entry {
        std::string hash;
        SharedRows rows;
    };

    SharedRows in_memory(const std::string & hash, size_t values);
    void keep_in_memory(const std::string & hash, const SharedRows & rows);
    void keep_on_disk(const std::string & hash, const SharedRows & rows);
    void write_first();

    const uint64_t most_bytes_;
    FirstWarning warning_;  // the writer's

    mutable std::mutex mutex_;
    std::list<Entry> entries_;  // the most recently used first
    std::unordered_map<std::string, std::list<Entry>::iterator> by_hash_;
    CacheStats stats_;

    std::optional<EmbeddingFiles> files_;
    std::deque<Entry> unwritten_;  // the first is being written
    uint64_t unwritten_bytes_ = 0;
    std::optional<Worker> writer_;  // the last: it finishes what is unwritten
};

}  // namespace qvl
