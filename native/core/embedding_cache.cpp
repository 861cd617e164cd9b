#include "embedding_cache.h"

#include <algorithm>
#include <cmath>

namespace qvl {

namespace {

// A disk that is slower than the encoder must not fill the memory: what comes then is not written.
constexpr uint64_t kMostUnwritten = 256 << 20;

uint64_t bytes_of(const SharedRows & rows) {
    return rows->size() * sizeof(float);
}

}  // namespace

EmbeddingCache::EmbeddingCache(const CacheParams & params, const std::string & encoder, Warning warning)
    : most_bytes_(params.memory_bytes), warning_(std::move(warning)) {
    if (!params.folder.empty()) {
        files_.emplace(params.folder, encoder, params.folder_bytes);
        writer_.emplace("qvl-cache");
    }
}

std::optional<EmbeddingCache::Found> EmbeddingCache::find(const std::string & hash, size_t values, Keep where) {
    if (where == Keep::none) {
        return std::nullopt;
    }
    if (SharedRows rows = in_memory(hash, values)) {
        if (where == Keep::disk && files_ && !files_->touch(hash)) {
            keep_on_disk(hash, rows);  // kept in memory only so far, or removed by another process
        }
        return Found{std::move(rows), false};
    }
    if (where == Keep::disk && files_) {
        if (auto read = files_->read(hash, values)) {
            auto rows = std::make_shared<const std::vector<float>>(std::move(*read));
            const std::lock_guard<std::mutex> lock(mutex_);
            stats_.disk_hits++;
            keep_in_memory(hash, rows);
            return Found{std::move(rows), true};
        }
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    stats_.misses++;
    return std::nullopt;
}

SharedRows EmbeddingCache::in_memory(const std::string & hash, size_t values) {
    const std::lock_guard<std::mutex> lock(mutex_);
    SharedRows rows;
    if (const auto found = by_hash_.find(hash); found != by_hash_.end()) {
        entries_.splice(entries_.begin(), entries_, found->second);
        rows = found->second->rows;
    }
    // Dropped from memory, and not on the disk yet.
    for (auto entry = unwritten_.begin(); !rows && entry != unwritten_.end(); ++entry) {
        rows = entry->hash == hash ? entry->rows : nullptr;
    }
    if (!rows || rows->size() != values) {
        return nullptr;
    }
    stats_.memory_hits++;
    return rows;
}

void EmbeddingCache::keep(const std::string & hash, const SharedRows & rows, Keep where) {
    const auto finite = [](float value) { return std::isfinite(value); };
    if (where == Keep::none || hash.empty() || !std::all_of(rows->begin(), rows->end(), finite)) {
        return;
    }
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        keep_in_memory(hash, rows);
    }
    if (where == Keep::disk && files_) {
        keep_on_disk(hash, rows);
    }
}

void EmbeddingCache::keep_on_disk(const std::string & hash, const SharedRows & rows) {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        const bool waits =
            std::any_of(unwritten_.begin(), unwritten_.end(), [&](const Entry & entry) { return entry.hash == hash; });
        if (waits || unwritten_bytes_ + bytes_of(rows) > kMostUnwritten) {
            return;
        }
        unwritten_.push_back({hash, rows});
        unwritten_bytes_ += bytes_of(rows);
    }
    writer_->post([this] { write_first(); });
}

void EmbeddingCache::keep_in_memory(const std::string & hash, const SharedRows & rows) {
    if (const auto known = by_hash_.find(hash); known != by_hash_.end()) {
        stats_.bytes -= bytes_of(known->second->rows);
        entries_.erase(known->second);
        by_hash_.erase(known);
    }
    if (bytes_of(rows) <= most_bytes_) {
        std::list<Entry> made{{hash, rows}};
        by_hash_[hash] = made.begin();
        entries_.splice(entries_.begin(), made);  // who is out of memory by now has changed nothing
        stats_.bytes += bytes_of(rows);
    }
    while (stats_.bytes > most_bytes_) {
        stats_.bytes -= bytes_of(entries_.back().rows);
        by_hash_.erase(entries_.back().hash);
        entries_.pop_back();
    }
    stats_.entries = entries_.size();
}

CacheStats EmbeddingCache::stats() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return stats_;
}

void EmbeddingCache::write_first() {
    Entry entry;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        entry = unwritten_.front();
    }
    try {
        files_->write(entry.hash, *entry.rows);
    } catch (const std::exception & error) {
        warning_(error);
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    unwritten_bytes_ -= bytes_of(entry.rows);
    unwritten_.pop_front();
}

}  // namespace qvl
