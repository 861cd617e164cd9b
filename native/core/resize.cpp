#include "resize.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <system_error>
#include <thread>
#include <vector>

namespace qvl {
namespace {

constexpr int kChannels = 3;
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

// A fused multiply-add rounds once where the reference rounds twice, which now and then moves a weight by one.
#if defined(__clang__)
#    pragma clang fp contract(off)
#elif defined(__GNUC__)
#    pragma GCC push_options
#    pragma GCC optimize("fp-contract=off")
#endif

// Keys' cubic with a = -0.5.
double cubic(double t) {
    t = std::fabs(t);
    if (t < 1)
        return (1.5 * t - 2.5) * t * t + 1;
    if (t < 2)
        return (((t - 5) * t + 8) * t - 4) * -0.5;
    return 0;
}

Axis make_axis(int source, int target) {
    const double scale = double(source) / target;
    const double stretch = std::max(scale, 1.0);  // shrinking widens the kernel, which is the antialiasing
    const double radius = 2 * stretch;
    const double per_sample = 1 / stretch;

    Axis axis;
    axis.stride = std::min(source, int(std::ceil(radius)) * 2 + 1);
    axis.windows.resize(size_t(target));
    axis.weights.resize(size_t(target) * size_t(axis.stride));
    std::vector<double> exact(size_t(axis.stride));
    for (int i = 0; i < target; i++) {
        const double center = (i + 0.5) * scale;
        const int first = std::max(0, int(center - radius + 0.5));
        const int count = std::min(source, int(center + radius + 0.5)) - first;
        double sum = 0;
        for (int k = 0; k < count; k++)
            sum += exact[size_t(k)] = cubic((k + first - center + 0.5) * per_sample);
        int32_t * weights = axis.weights.data() + size_t(i) * size_t(axis.stride);
        for (int k = 0; k < count; k++) {
            const double weight = exact[size_t(k)] / sum * (1 << kWeightBits);
            weights[k] = int32_t(weight < 0 ? weight - 0.5 : weight + 0.5);
        }
        axis.windows[size_t(i)] = {first, count};
    }
    return axis;
}

#if defined(__GNUC__) && !defined(__clang__)
#    pragma GCC pop_options
#endif

uint8_t to_byte(int32_t sum) {
    return uint8_t(std::clamp(sum >> kWeightBits, 0, 255));
}

void resize_row(const uint8_t * src, uint8_t * dst, const Axis & axis) {
    const int target = int(axis.windows.size());
    for (int x = 0; x < target; x++, dst += kChannels) {
        const Axis::Window window = axis.windows[size_t(x)];
        const int32_t * weights = axis.weights_of(x);
        const uint8_t * pixel = src + size_t(window.first) * kChannels;
        int32_t r = kHalf, g = kHalf, b = kHalf;
        for (int k = 0; k < window.count; k++, pixel += kChannels) {
            r += weights[k] * pixel[0];
            g += weights[k] * pixel[1];
            b += weights[k] * pixel[2];
        }
        dst[0] = to_byte(r);
        dst[1] = to_byte(g);
        dst[2] = to_byte(b);
    }
}

// Weighted mean of `count` rows, in blocks whose sums stay in the first-level cache; the inner loops are vectorised.
void blend_rows(const uint8_t * const * rows, const int32_t * weights, int count, uint8_t * dst, size_t bytes) {
    constexpr size_t kBlock = 512;
    int32_t sums[kBlock];
    for (size_t start = 0; start < bytes; start += kBlock) {
        const size_t size = std::min(kBlock, bytes - start);
        std::fill_n(sums, size, kHalf);
        for (int k = 0; k < count; k++) {
            const uint8_t * row = rows[k] + start;
            const int32_t weight = weights[k];
            for (size_t i = 0; i < size; i++)
                sums[i] += weight * row[i];
        }
        for (size_t i = 0; i < size; i++)
            dst[start + i] = to_byte(sums[i]);
    }
}

// What all bands of one call share. An axis of unchanged size is left out: its pass would change nothing.
struct Job {
    const uint8_t * src;
    uint8_t * dst;
    size_t src_row;  // bytes
    size_t dst_row;
    const Axis * horizontal;
    const Axis * vertical;
};

// Some rows of the target. Source rows are scaled in width first, each once, into a ring that holds one window.
class Band {
  public:
    Band(const Job & job, int first, int last) : job_(job), first_(first), last_(last) {
        if (!job.vertical)
            return;
        rows_.resize(size_t(job.vertical->stride));
        if (job.horizontal)
            ring_.resize(rows_.size() * job.dst_row);
    }

    void run() noexcept {
        for (int y = first_; y < last_; y++) {
            uint8_t * target = job_.dst + size_t(y) * job_.dst_row;
            if (!job_.vertical) {
                resize_row(source_row(y), target, *job_.horizontal);
                continue;
            }
            const Axis::Window window = job_.vertical->windows[size_t(y)];
            for (int k = 0; k < window.count; k++)
                rows_[size_t(k)] = scaled_row(window.first + k);
            blend_rows(rows_.data(), job_.vertical->weights_of(y), window.count, target, job_.dst_row);
        }
    }

  private:
    const uint8_t * source_row(int row) const { return job_.src + size_t(row) * job_.src_row; }

    // Windows only move down, so a row is never asked for again once the ring has lost it.
    const uint8_t * scaled_row(int row) {
        if (!job_.horizontal)
            return source_row(row);
        uint8_t * slot = ring_.data() + size_t(row) % rows_.size() * job_.dst_row;
        if (row > newest_) {
            resize_row(source_row(row), slot, *job_.horizontal);
            newest_ = row;
        }
        return slot;
    }

    const Job & job_;
    int first_, last_;
    int newest_ = -1;
    std::vector<const uint8_t *> rows_;
    std::vector<uint8_t> ring_;
};

}  // namespace

void resize_bicubic(const uint8_t * src, int src_width, int src_height, uint8_t * dst, int dst_width, int dst_height,
                    int threads) {
    const size_t src_row = size_t(src_width) * kChannels;
    const size_t dst_row = size_t(dst_width) * kChannels;
    const bool same_width = src_width == dst_width;
    const bool same_height = src_height == dst_height;
    if (same_width && same_height) {
        std::memcpy(dst, src, src_row * size_t(src_height));
        return;
    }
    const Axis horizontal = same_width ? Axis{} : make_axis(src_width, dst_width);
    const Axis vertical = same_height ? Axis{} : make_axis(src_height, dst_height);
    const Job job{src, dst, src_row, dst_row, same_width ? nullptr : &horizontal, same_height ? nullptr : &vertical};

    // All memory is taken before a thread starts: nothing can throw inside one.
    const int count = std::clamp(threads, 1, dst_height);
    std::vector<Band> bands;
    std::vector<std::thread> others;
    bands.reserve(size_t(count));
    others.reserve(size_t(count));
    for (int i = 0; i < count; i++) {
        const auto edge = [&](int band) { return int(int64_t(dst_height) * band / count); };
        bands.emplace_back(job, edge(i), edge(i + 1));
    }
    size_t next = 1;
    try {
        for (; next < bands.size(); next++)
            others.emplace_back(&Band::run, &bands[next]);
    } catch (const std::system_error &) {
        // No more threads to be had: the caller does the rest.
    }
    bands[0].run();
    for (; next < bands.size(); next++)
        bands[next].run();
    for (std::thread & other : others)
        other.join();
}

}  // namespace qvl
