#include "sequence.h"

#include <algorithm>

namespace qvl {

std::vector<SequenceItem> Sequence::flatten(const std::vector<Segment> & segments) {
    std::vector<SequenceItem> items;
    for (size_t s = 0; s < segments.size(); s++) {
        if (const auto * text = std::get_if<TextSegment>(&segments[s])) {
            for (size_t i = 0; i < text->tokens.size(); i++) {
                const int32_t position = text->position + static_cast<int32_t>(i);
                items.push_back({text->tokens[i], {}, position, 1, s, i});
            }
        } else {
            const auto & image = std::get<ImageSegment>(segments[s]);
            items.push_back({-1, image.hash, image.positions.front(), image.count, s, 0});
        }
    }
    return items;
}

size_t Sequence::common_prefix(const std::vector<SequenceItem> & prompt) const {
    const size_t most = std::min(items_.size(), prompt.size());
    size_t n = 0;
    while (n < most && items_[n].same_as(prompt[n])) {
        n++;
    }
    return n;
}

void Sequence::truncate_from(int32_t position) {
    while (!items_.empty() && items_.back().position >= position) {
        items_.pop_back();
    }
}

int32_t Sequence::cells(size_t items) const {
    int32_t sum = 0;
    for (size_t i = 0; i < items; i++) {
        sum += items_[i].cells;
    }
    return sum;
}

}  // namespace qvl
