#include "sequence.h"

#include <algorithm>

namespace qvl {

size_t common_prefix(const std::vector<SequenceItem> & a, const std::vector<SequenceItem> & b) {
    const size_t most = std::min(a.size(), b.size());
    size_t n = 0;
    while (n < most && a[n].same_as(b[n])) {
        n++;
    }
    return n;
}

int64_t cells_between(const std::vector<SequenceItem> & items, size_t begin, size_t end) {
    int64_t cells = 0;
    for (size_t i = begin; i < end; i++) {
        cells += items[i].cells;
    }
    return cells;
}

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

size_t Sequence::cut_at(size_t items) const {
    const auto next = [this](size_t n) { return n < size() ? items_[n].position : begun_.value_or(-1); };
    while (items > 0 && next(items) == items_[items - 1].position) {
        items--;
    }
    return items;
}

int32_t Sequence::position_after(size_t items) const {
    return items < size() ? items_[items].position : items == 0 ? 0 : items_[items - 1].position + 1;
}

void Sequence::append(const SequenceItem & item, std::shared_ptr<Cells> cells) {
    begun_.reset();
    items_.push_back(item);
    cells_.push_back(std::move(cells));
    batch_ends_.push_back(false);
    count_ += item.cells;
}

void Sequence::share(const Sequence & donor, size_t end) {
    for (size_t i = size(); i < end; i++) {
        append(donor.items_[i], donor.cells_[i]);
        batch_ends_.back() = donor.batch_ends_[i];
    }
}

void Sequence::truncate(size_t items) {
    begun_.reset();
    while (size() > items) {
        count_ -= items_.back().cells;
        items_.pop_back();
        cells_.pop_back();
        batch_ends_.pop_back();
    }
}

}  // namespace qvl
