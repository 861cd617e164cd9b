#include "resize_frame.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace qvl {
namespace {

constexpr size_t kChannels = 3;

// For every target sample the source samples that it is a weighted mean of.
struct Axis {
    struct Window {
        int first;
        int count;
    };

    std::vector<Window> windows;
    std::vector<float> weights;  // `stride` per window
    size_t stride = 0;

    const float * weights_of(size_t target) const { return weights.data() + target * stride; }
};

// Keys' cubic with a = -0.5, in the reference's order of operations.
float cubic(float t) {
    constexpr float a = -0.5F;
    t = std::fabs(t);
    if (t < 1)
        return ((a + 2) * t - (a + 3)) * t * t + 1;
    if (t < 2)
        return ((a * t - 5 * a) * t + 8 * a) * t - 4 * a;
    return 0;
}

// Single and double precision where the reference has them: a weight's last bit decides some roundings.
Axis make_axis(int source, int target) {
    const float scale = static_cast<float>(source) / static_cast<float>(target);
    const float radius = scale >= 1 ? 2 * scale : 2;  // shrinking widens the kernel, which is the antialiasing
    const float per_sample = scale >= 1 ? 1 / scale : 1;

    Axis axis;
    axis.stride = static_cast<size_t>(std::ceil(radius)) * 2 + 1;
    axis.windows.resize(static_cast<size_t>(target));
    axis.weights.resize(static_cast<size_t>(target) * axis.stride);
    for (int i = 0; i < target; i++) {
        const auto center = static_cast<float>(static_cast<double>(scale) * (i + 0.5));
        const int first = std::max(0, static_cast<int>(static_cast<double>(center - radius) + 0.5));
        const int count = std::min(source, static_cast<int>(static_cast<double>(center + radius) + 0.5)) - first;
        float * weights = axis.weights.data() + static_cast<size_t>(i) * axis.stride;
        float sum = 0;
        for (int k = 0; k < count; k++) {
            const double place = static_cast<double>(static_cast<float>(k + first) - center) + 0.5;
            weights[k] = cubic(static_cast<float>(place * static_cast<double>(per_sample)));
            sum += weights[k];
        }
        for (int k = 0; k < count; k++)
            weights[k] /= sum;
        axis.windows[static_cast<size_t>(i)] = {first, count};
    }
    return axis;
}

void scale_row(const uint8_t * src, float * dst, const Axis & axis) {
    for (size_t x = 0; x < axis.windows.size(); x++, dst += kChannels) {
        const float * weights = axis.weights_of(x);
        const uint8_t * pixel = src + static_cast<size_t>(axis.windows[x].first) * kChannels;
        float r = 0, g = 0, b = 0;
        for (int k = 0; k < axis.windows[x].count; k++, pixel += kChannels) {
            r += weights[k] * static_cast<float>(pixel[0]);
            g += weights[k] * static_cast<float>(pixel[1]);
            b += weights[k] * static_cast<float>(pixel[2]);
        }
        dst[0] = r;
        dst[1] = g;
        dst[2] = b;
    }
}

}  // namespace

void resize_frame(const uint8_t * src, int src_width, int src_height, uint8_t * dst, int dst_width, int dst_height) {
    const size_t src_row = static_cast<size_t>(src_width) * kChannels;
    const size_t dst_row = static_cast<size_t>(dst_width) * kChannels;
    if (src_width == dst_width && src_height == dst_height) {
        std::copy_n(src, src_row * static_cast<size_t>(src_height), dst);
        return;
    }
    const Axis horizontal = make_axis(src_width, dst_width);
    const Axis vertical = make_axis(src_height, dst_height);

    // A source row is scaled in width once, into a ring that holds one window. Windows only move down.
    std::vector<float> ring(vertical.stride * dst_row);
    const auto slot = [&](int row) { return ring.data() + static_cast<size_t>(row) % vertical.stride * dst_row; };
    std::vector<float> sums(dst_row);
    int ready = 0;
    for (size_t y = 0; y < vertical.windows.size(); y++) {
        const Axis::Window window = vertical.windows[y];
        for (; ready < window.first + window.count; ready++)
            scale_row(src + static_cast<size_t>(ready) * src_row, slot(ready), horizontal);
        std::fill(sums.begin(), sums.end(), 0.0F);
        for (int k = 0; k < window.count; k++) {
            const float weight = vertical.weights_of(y)[k];
            const float * row = slot(window.first + k);
            for (size_t i = 0; i < dst_row; i++)
                sums[i] += weight * row[i];
        }
        for (size_t i = 0; i < dst_row; i++)
            *dst++ = static_cast<uint8_t>(std::nearbyint(std::clamp(sums[i], 0.0F, 255.0F)));
    }
}

}  // namespace qvl
