// What one conversation holds in the KV memory: the longest common prefix with the next prompt is not computed again.
#pragma once

#include "params.h"

#include <cstdint>
#include <string>
#include <vector>

namespace qvl {

// A token or a whole picture (or pair of frames); a reused prefix never ends inside one.
struct SequenceItem {
    int32_t token;      // -1: a picture
    std::string media;  // hash of the picture
    int32_t position;   // in time; a picture's cells share it, and so may pairs of frames that follow each other
    int32_t cells;
    size_t segment;  // index into the prompt's segments; meaningless for stored items
    size_t offset;   // index of the token in its segment

    bool same_as(const SequenceItem & other) const {
        return token == other.token && position == other.position && cells == other.cells && media == other.media;
    }
};

class Sequence {
  public:
    static std::vector<SequenceItem> flatten(const std::vector<Segment> & segments);

    // Number of leading items that `prompt` shares with what is stored.
    size_t common_prefix(const std::vector<SequenceItem> & prompt) const;
    // Forgets every item at this position in time and after it.
    void truncate_from(int32_t position);
    void append(const SequenceItem & item) { items_.push_back(item); }
    int32_t position(size_t item) const { return items_[item].position; }
    size_t size() const { return items_.size(); }
    // KV cells in use; with M-RoPE more than positions.
    int32_t cells(size_t items) const;
    int32_t cells() const { return cells(items_.size()); }

  private:
    std::vector<SequenceItem> items_;
};

}  // namespace qvl
