// What one sequence holds in the KV memory, item by item: what it shares with the next prompt is not computed again.
#pragma once

#include "params.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace qvl {

// A token or a whole picture (or pair of frames); a reused prefix never ends inside one.
struct SequenceItem {
    int32_t token;      // -1: a picture
    std::string media;  // hash of the picture
    int32_t position;   // in time; a picture's cells share it, and so may pairs of frames that follow each other
    int32_t cells;
    size_t segment;         // index into the prompt's segments; meaningless for stored items
    size_t offset;          // index of the token in its segment
    uint64_t adapters = 0;  // with which adapters it is computed

    bool same_as(const SequenceItem & other) const {
        return token == other.token && position == other.position && cells == other.cells &&
               adapters == other.adapters && media == other.media;
    }
};

// Number of leading items that both have.
size_t common_prefix(const std::vector<SequenceItem> & a, const std::vector<SequenceItem> & b);
// KV cells of items[begin] to items[end - 1].
int64_t cells_between(const std::vector<SequenceItem> & items, size_t begin, size_t end);

// KV cells that several sequences may hold. Counted in `used` as long as one of them does.
class Cells {
  public:
    Cells(int32_t count, std::shared_ptr<int32_t> used) : count_(count), used_(std::move(used)) { *used_ += count_; }
    ~Cells() { *used_ -= count_; }
    Cells(const Cells &) = delete;
    Cells & operator=(const Cells &) = delete;

  private:
    int32_t count_;
    std::shared_ptr<int32_t> used_;
};

class Sequence {
  public:
    static std::vector<SequenceItem> flatten(const std::vector<Segment> & segments);

    const std::vector<SequenceItem> & items() const { return items_; }
    size_t size() const { return items_.size(); }
    // KV cells in use; with M-RoPE more than positions.
    int32_t cells() const { return count_; }
    // The largest number of items, at most `items`, behind which the KV memory can be cut: it is cut by position in time.
    size_t cut_at(size_t items) const;
    // Position in time at which to cut behind so many items.
    int32_t position_after(size_t items) const;
    // True if a batch of a prompt ended behind so many items.
    bool batch_ended_at(size_t items) const { return items == 0 || batch_ends_[items - 1]; }

    // A part of the picture that comes next is there too, which is no item yet.
    void begin_picture(int32_t position) { begun_ = position; }
    bool in_picture() const { return begun_.has_value(); }
    void append(const SequenceItem & item, std::shared_ptr<Cells> cells);
    void end_batch() { batch_ends_.back() = true; }
    // Appends the items [size(), end) of `donor`, sharing its cells.
    void share(const Sequence & donor, size_t end);
    void truncate(size_t items);

  private:
    std::vector<SequenceItem> items_;
    std::vector<std::shared_ptr<Cells>> cells_;  // one an item
    std::vector<bool> batch_ends_;
    std::optional<int32_t> begun_;
    int32_t count_ = 0;
};

}  // namespace qvl
