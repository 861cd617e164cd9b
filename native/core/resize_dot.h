// Scaling in width with AVX512-VNNI, whose one instruction multiplies 64 bytes and adds the products by fours: the same
// integers as resize.cpp's general way, three times as fast.
#pragma once

#include "resize_axis.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace qvl {

// Rows that are scaled together.
constexpr size_t kRows = 16;

// Whether this processor has the instruction.
bool has_byte_dots();

// The weights of an axis, cut into bytes, for groups of four pixels.
class DotAxis {
  public:
    explicit DotAxis(const Axis & axis);

    // Bytes of the work space for rows of `width` pixels.
    static size_t room(int width);

    // Scales RGB rows of `width` pixels. Result: `kRows` bytes, one a row, for every channel of every target pixel.
    void scale(const uint8_t * const (&rows)[kRows], int width, uint8_t * room, uint8_t * columns) const;

  private:
    struct Groups {
        int first;
        int count;
    };

    std::vector<Groups> groups_;
    std::vector<int32_t> weights_;  // per group and byte of the weights: four of them, for its four pixels
};

}  // namespace qvl
