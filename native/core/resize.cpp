#include "resize.h"

#include "resize_axis.h"
#include "resize_dot.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <optional>
#include <system_error>
#include <thread>
#include <vector>

namespace qvl {
namespace {

constexpr int kChannels = 3;

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

// Bits of the weights' fraction where the reference keeps them in 16 bits: as many as the largest leaves room for.
int bits_in_int16(const std::vector<double> & weights) {
    const double largest = *std::max_element(weights.begin(), weights.end());
    int bits = 0;
    while (bits < kWeightBits && int(largest * (1 << (bits + 1)) + 0.5) < 1 << 15)
        bits++;
    return bits;
}

// Fewer bits are followed by zeros: the sum of products, its half and its shift then give the same byte.
void round_weights(const std::vector<double> & exact, int bits, std::vector<int32_t> & weights) {
    weights.resize(exact.size());
    for (size_t i = 0; i < exact.size(); i++) {
        const double weight = exact[i] * (1 << bits);
        weights[i] = int32_t(weight < 0 ? weight - 0.5 : weight + 0.5) * (1 << (kWeightBits - bits));
    }
}

Axis make_axis(int source, int target, Weights precision) {
    const double scale = double(source) / target;
    const double stretch = std::max(scale, 1.0);  // shrinking widens the kernel, which is the antialiasing
    const double radius = 2 * stretch;
    const double per_sample = 1 / stretch;

    Axis axis;
    axis.stride = std::min(source, int(std::ceil(radius)) * 2 + 1);
    axis.windows.resize(size_t(target));
    std::vector<double> weights(size_t(target) * size_t(axis.stride));
    for (int i = 0; i < target; i++) {
        const double center = (i + 0.5) * scale;
        const int first = std::max(0, int(center - radius + 0.5));
        const int count = std::min(source, int(center + radius + 0.5)) - first;
        double * window = weights.data() + size_t(i) * size_t(axis.stride);
        double sum = 0;
        for (int k = 0; k < count; k++)
            sum += window[k] = cubic((k + first - center + 0.5) * per_sample);
        for (int k = 0; k < count; k++)
            window[k] /= sum;
        axis.windows[size_t(i)] = {first, count};
    }
    round_weights(weights, precision == Weights::kInt16 ? bits_in_int16(weights) : kWeightBits, axis.weights);
    return axis;
}

#if defined(__GNUC__) && !defined(__clang__)
#    pragma GCC pop_options
#endif

// Compiled for several generations of x86 processors; the fastest that the machine has is taken. (musl cannot choose.)
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(__SANITIZE_THREAD__)
#    define QVL_FOR_EACH_CPU __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#    define QVL_INLINE inline __attribute__((always_inline))
#else
#    define QVL_FOR_EACH_CPU
#    define QVL_INLINE inline
#endif

QVL_INLINE uint8_t to_byte(int32_t sum) {
    return uint8_t(std::clamp(sum >> kWeightBits, 0, 255));
}

// GCC would rather join two weights and compute byte by byte.
#if defined(__GNUC__) && !defined(__clang__)
#    pragma GCC push_options
#    pragma GCC optimize("no-loop-unroll-and-jam")
#endif

// Weighted means of `kBytes` bytes from each of `count` places; the sums stay in registers.
template <size_t kBytes, typename PlaceAt>
QVL_INLINE void blend(PlaceAt place_at, const int32_t * weights, int count, uint8_t * dst) {
    int32_t sums[kBytes];
    std::fill_n(sums, kBytes, kHalf);
    for (int k = 0; k < count; k++) {
        const uint8_t * __restrict bytes = place_at(k);
        for (size_t i = 0; i < kBytes; i++)
            sums[i] += weights[k] * bytes[i];
    }
    for (size_t i = 0; i < kBytes; i++)
        dst[i] = to_byte(sums[i]);
}

// Of rows that are scaled in width together the samples are laid side by side, so that a weight is applied to all rows
// of a pixel at once.
constexpr size_t kPixel = kChannels * kRows;

constexpr size_t in_blocks(size_t samples) {
    return (samples + kRows - 1) / kRows * kRows;
}

// kRows bytes of one row, or of one column.
#if defined(__clang__) || (defined(__GNUC__) && __GNUC__ >= 12)
using Bytes = uint8_t __attribute__((vector_size(kRows)));

QVL_INLINE void interleave(Bytes even, Bytes odd, Bytes * dst) {
    dst[0] = __builtin_shufflevector(even, odd, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    dst[1] = __builtin_shufflevector(even, odd, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}
#else
struct Bytes {
    uint8_t at[kRows];
};

QVL_INLINE void interleave(Bytes even, Bytes odd, Bytes * dst) {
    for (size_t i = 0; i < kRows; i++) {
        dst[i / 8].at[i % 8 * 2] = even.at[i];
        dst[i / 8].at[i % 8 * 2 + 1] = odd.at[i];
    }
}
#endif

// Exchanges rows and columns of a square of kRows × kRows bytes. Interleaving the upper half with the lower one rotates
// the eight bits of every byte's place by one; four times are a transposition.
QVL_INLINE void transpose(Bytes (&square)[kRows]) {
    Bytes other[kRows];
    const auto round = [](const Bytes * from, Bytes * to) {
        for (size_t r = 0; r < kRows / 2; r++)
            interleave(from[r], from[r + kRows / 2], to + 2 * r);
    };
    round(square, other);
    round(other, square);
    round(square, other);
    round(other, square);
}

// Columns start at `start`; all kRows of them, unless the picture ends before.
QVL_INLINE void copy_columns(uint8_t * dst, const uint8_t * src, size_t start, size_t samples) {
    if (start + kRows <= samples)
        std::memcpy(dst, src, kRows);
    else
        std::memcpy(dst, src, samples - start);
}

void to_columns(const uint8_t * const (&rows)[kRows], size_t samples, uint8_t * columns) {
    for (size_t start = 0; start < samples; start += kRows, columns += kRows * kRows) {
        Bytes square[kRows] = {};
        for (size_t r = 0; r < kRows; r++)
            copy_columns(reinterpret_cast<uint8_t *>(&square[r]), rows[r] + start, start, samples);
        transpose(square);
        std::memcpy(columns, square, sizeof square);
    }
}

void to_rows(const uint8_t * columns, size_t samples, uint8_t * const (&rows)[kRows]) {
    for (size_t start = 0; start < samples; start += kRows, columns += kRows * kRows) {
        Bytes square[kRows];
        std::memcpy(square, columns, sizeof square);
        transpose(square);
        for (size_t r = 0; r < kRows; r++)
            copy_columns(rows[r] + start, reinterpret_cast<const uint8_t *>(&square[r]), start, samples);
    }
}

QVL_FOR_EACH_CPU
void scale_columns(const uint8_t * src, const Axis & axis, uint8_t * dst) {
    const int target = int(axis.windows.size());
    for (int x = 0; x < target; x++) {
        const Axis::Window window = axis.windows[size_t(x)];
        const uint8_t * first = src + size_t(window.first) * kPixel;
        blend<kPixel>([first](int k) { return first + size_t(k) * kPixel; }, axis.weights_of(x), window.count,
                      dst + size_t(x) * kPixel);
    }
}

QVL_FOR_EACH_CPU
void blend_rows(const uint8_t * const * rows, const int32_t * weights, int count, uint8_t * dst, size_t bytes) {
    constexpr size_t kBlock = 64;
    size_t start = 0;
    for (; start + kBlock <= bytes; start += kBlock)
        blend<kBlock>([rows, start](int k) { return rows[k] + start; }, weights, count, dst + start);
    for (; start < bytes; start++)
        blend<1>([rows, start](int k) { return rows[k] + start; }, weights, count, dst + start);
}

#if defined(__GNUC__) && !defined(__clang__)
#    pragma GCC pop_options
#endif

// What all bands of one call share. An axis of unchanged size is left out: its pass would change nothing.
struct Job {
    const uint8_t * src;
    uint8_t * dst;
    size_t src_row;  // bytes
    size_t dst_row;
    int src_height;
    const Axis * horizontal;
    const DotAxis * dots;  // the horizontal axis again, where the processor has byte dots
    const Axis * vertical;
};

// Some rows of the target. Source rows are scaled in width first, each once, into a ring that holds a window and what is
// scaled together with its last row.
class Band {
  public:
    Band(const Job & job, int first, int last) : job_(job), first_(first), last_(last) {
        if (job.vertical)
            window_.resize(size_t(job.vertical->stride));
        if (job.horizontal) {
            before_.resize(job.dots ? DotAxis::room(int(job.src_row) / kChannels) : in_blocks(job.src_row) * kRows);
            after_.resize(in_blocks(job.dst_row) * kRows);
            ring_.resize((window_.size() + kRows) * job.dst_row);
        }
    }

    void run() noexcept {
        ready_ = job_.vertical ? job_.vertical->windows[size_t(first_)].first : first_;
        for (int y = first_; y < last_; y++) {
            uint8_t * target = job_.dst + size_t(y) * job_.dst_row;
            if (!job_.vertical) {
                std::memcpy(target, scaled_row(y), job_.dst_row);
                continue;
            }
            const Axis::Window window = job_.vertical->windows[size_t(y)];
            for (int k = 0; k < window.count; k++)
                window_[size_t(k)] = scaled_row(window.first + k);
            blend_rows(window_.data(), job_.vertical->weights_of(y), window.count, target, job_.dst_row);
        }
    }

  private:
    const uint8_t * source_row(int row) const { return job_.src + size_t(row) * job_.src_row; }
    uint8_t * slot(int row) { return ring_.data() + size_t(row) % (ring_.size() / job_.dst_row) * job_.dst_row; }

    // Windows only move down, so a row is never asked for again once the ring has lost it.
    const uint8_t * scaled_row(int row) {
        if (!job_.horizontal)
            return source_row(row);
        if (row >= ready_)
            scale_rows();
        return slot(row);
    }

    // The next kRows rows; past the last row of the picture it stands in for them.
    void scale_rows() {
        const uint8_t * from[kRows];
        uint8_t * to[kRows];
        for (size_t r = 0; r < kRows; r++) {
            from[r] = source_row(std::min(ready_ + int(r), job_.src_height - 1));
            to[r] = slot(ready_ + int(r));
        }
        if (job_.dots) {
            job_.dots->scale(from, int(job_.src_row) / kChannels, before_.data(), after_.data());
        } else {
            to_columns(from, job_.src_row, before_.data());
            scale_columns(before_.data(), *job_.horizontal, after_.data());
        }
        to_rows(after_.data(), job_.dst_row, to);
        ready_ += int(kRows);
    }

    const Job & job_;
    int first_, last_;
    int ready_ = 0;  // the first row that is not in the ring yet
    std::vector<const uint8_t *> window_;
    std::vector<uint8_t> before_, after_;  // kRows rows by columns: of the source, and scaled
    std::vector<uint8_t> ring_;
};

}  // namespace

void resize_bicubic(const uint8_t * src, int src_width, int src_height, uint8_t * dst, int dst_width, int dst_height,
                    int threads, Weights precision, bool byte_dots) {
    const size_t src_row = size_t(src_width) * kChannels;
    const size_t dst_row = size_t(dst_width) * kChannels;
    const bool same_width = src_width == dst_width;
    const bool same_height = src_height == dst_height;
    if (same_width && same_height) {
        std::memcpy(dst, src, src_row * size_t(src_height));
        return;
    }
    const Axis horizontal = same_width ? Axis{} : make_axis(src_width, dst_width, precision);
    const Axis vertical = same_height ? Axis{} : make_axis(src_height, dst_height, precision);
    std::optional<DotAxis> dots;
    if (byte_dots && !same_width)
        dots.emplace(horizontal);
    const Job job{src,
                  dst,
                  src_row,
                  dst_row,
                  src_height,
                  same_width ? nullptr : &horizontal,
                  dots ? &*dots : nullptr,
                  same_height ? nullptr : &vertical};

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
