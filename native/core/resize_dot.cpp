#include "resize_dot.h"

#include <algorithm>
#include <cstring>

// Clang and GCC compile single functions for other processors than the rest.
#if defined(__x86_64__) && defined(__GNUC__)
#    include <immintrin.h>
#    define QVL_BYTE_DOTS __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni")))
#    ifndef __clang__
#        pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // of GCC's own header, up to 12
#    endif
#endif

namespace qvl {
namespace {

constexpr int kChannels = 3;
constexpr int kGroup = 4;   // pixels, and so products, that are added at once
constexpr int kDigits = 3;  // bytes of a weight, each with a sign: |weight| < 127.5 * 2^16, twice what a mean can have
constexpr size_t kBlock = kRows * kGroup;  // bytes of one channel of a group: four pixels of a row, then of the next

}  // namespace

DotAxis::DotAxis(const Axis & axis) {
    const size_t targets = axis.windows.size();
    groups_.reserve(targets);
    for (size_t target = 0; target < targets; target++) {
        const auto [first, count] = axis.windows[target];
        const int32_t * weights = axis.weights_of(int(target));
        const Groups groups{first / kGroup, (first + count - 1) / kGroup - first / kGroup + 1};
        groups_.push_back(groups);
        for (int group = groups.first; group < groups.first + groups.count; group++) {
            int8_t digits[kDigits][kGroup] = {};
            for (int pixel = 0; pixel < kGroup; pixel++) {
                const int k = group * kGroup + pixel - first;
                int32_t rest = k >= 0 && k < count ? weights[k] : 0;
                for (auto & digit : digits) {
                    digit[pixel] = int8_t(rest & 0xff);
                    rest = (rest - digit[pixel]) / 256;
                }
            }
            for (const auto & digit : digits) {
                int32_t four;
                std::memcpy(&four, digit, sizeof four);
                weights_.push_back(four);
            }
        }
    }
}

size_t DotAxis::room(int width) {
    return size_t((width + kGroup - 1) / kGroup) * kChannels * kBlock;
}

#ifdef QVL_BYTE_DOTS

namespace {

// Of every fourth row the same four pixels, as R R R R G G G G B B B B.
QVL_BYTE_DOTS __m512i four_rows(const uint8_t * const * rows, size_t start, __mmask16 inside) {
    const __m128i by_channel = _mm_setr_epi8(0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11, -1, -1, -1, -1);
    __m512i four = _mm512_castsi128_si512(_mm_maskz_loadu_epi8(inside, rows[0] + start));
    four = _mm512_inserti32x4(four, _mm_maskz_loadu_epi8(inside, rows[4] + start), 1);
    four = _mm512_inserti32x4(four, _mm_maskz_loadu_epi8(inside, rows[8] + start), 2);
    four = _mm512_inserti32x4(four, _mm_maskz_loadu_epi8(inside, rows[12] + start), 3);
    return _mm512_shuffle_epi8(four, _mm512_broadcast_i32x4(by_channel));
}

QVL_BYTE_DOTS void to_groups(const uint8_t * const (&rows)[kRows], int width, uint8_t * groups) {
    for (int pixel = 0; pixel < width; pixel += kGroup, groups += kChannels * kBlock) {
        const int bytes = std::min(kGroup, width - pixel) * kChannels;
        const auto inside = static_cast<__mmask16>((1U << bytes) - 1);
        const size_t start = size_t(pixel) * kChannels;
        const __m512i a = four_rows(rows, start, inside);
        const __m512i b = four_rows(rows + 1, start, inside);
        const __m512i c = four_rows(rows + 2, start, inside);
        const __m512i d = four_rows(rows + 3, start, inside);
        const __m512i red_green_ab = _mm512_unpacklo_epi32(a, b);
        const __m512i red_green_cd = _mm512_unpacklo_epi32(c, d);
        const __m512i blue_ab = _mm512_unpackhi_epi32(a, b);
        const __m512i blue_cd = _mm512_unpackhi_epi32(c, d);
        _mm512_storeu_si512(groups, _mm512_unpacklo_epi64(red_green_ab, red_green_cd));
        _mm512_storeu_si512(groups + kBlock, _mm512_unpackhi_epi64(red_green_ab, red_green_cd));
        _mm512_storeu_si512(groups + 2 * kBlock, _mm512_unpacklo_epi64(blue_ab, blue_cd));
    }
}

}  // namespace

bool has_byte_dots() {
    return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl");
}

QVL_BYTE_DOTS void DotAxis::scale(const uint8_t * const (&rows)[kRows], int width, uint8_t * room,
                                  uint8_t * columns) const {
    to_groups(rows, width, room);
    const int32_t * weights = weights_.data();
    for (const Groups groups : groups_) {
        __m512i sums[kChannels][kDigits];
        for (auto & channel : sums) {
            channel[0] = _mm512_set1_epi32(kHalf);
            channel[1] = channel[2] = _mm512_setzero_si512();
        }
        const uint8_t * pixels = room + size_t(groups.first) * kChannels * kBlock;
        for (int group = 0; group < groups.count; group++, weights += kDigits) {
            for (auto & channel : sums) {
                const __m512i four = _mm512_loadu_si512(pixels);
                pixels += kBlock;
                for (int digit = 0; digit < kDigits; digit++)
                    channel[digit] = _mm512_dpbusd_epi32(channel[digit], four, _mm512_set1_epi32(weights[digit]));
            }
        }
        for (const auto & channel : sums) {
            const __m512i upper = _mm512_add_epi32(channel[1], _mm512_slli_epi32(channel[2], 8));
            const __m512i sum = _mm512_add_epi32(channel[0], _mm512_slli_epi32(upper, 8));
            const __m512i level = _mm512_max_epi32(_mm512_srai_epi32(sum, kWeightBits), _mm512_setzero_si512());
            _mm_storeu_si128(reinterpret_cast<__m128i *>(columns), _mm512_cvtusepi32_epi8(level));
            columns += kRows;
        }
    }
}

#else

bool has_byte_dots() {
    return false;
}

void DotAxis::scale(const uint8_t * const (&)[kRows], int, uint8_t *, uint8_t *) const {}

#endif

}  // namespace qvl
