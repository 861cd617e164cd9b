// What the passes of resize.cpp share: the weights of one axis.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace qvl {

constexpr int kWeightBits = 22;
constexpr int32_t kHalf = 1 << (kWeightBits - 1);

// For every target sample the source samples that it is a weighted mean of.
struct Axis {
    struct Window {
        int first;
        int count;
    };

    std::vector<Window> windows;
    std::vector<int32_t> weights;  // `stride` per window, fixed point
    int stride = 0;

    const int32_t * weights_of(int target) const { return weights.data() + size_t(target) * size_t(stride); }
};

}  // namespace qvl
