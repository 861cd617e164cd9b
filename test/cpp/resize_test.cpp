#include "resize.h"

#include "check.h"

#include <cstdint>
#include <numeric>

using qvl::resize_bicubic;
using qvl::Weights;

namespace {

using Bytes = std::vector<uint8_t>;

// Pseudo-random bytes with full black and white among them, so that over- and undershoot have to be clipped.
Bytes picture(int width, int height) {
    Bytes bytes(static_cast<size_t>(width) * static_cast<size_t>(height) * 3);
    for (size_t i = 0; i < bytes.size(); i++) {
        bytes[i] = static_cast<uint8_t>(i % 5 == 0 ? i % 2 * 255 : i * i * 73 + i * 31);
    }
    return bytes;
}

// In the general way, and, where the processor has it, with the instruction made for it: both give the same.
Bytes resized(const Bytes & source, int width, int height, int target_width, int target_height, int threads = 1,
              Weights precision = Weights::kInt32) {
    Bytes target(static_cast<size_t>(target_width) * static_cast<size_t>(target_height) * 3, 77);
    Bytes by_dots(target);
    resize_bicubic(source.data(), width, height, target.data(), target_width, target_height, threads, precision, false);
    resize_bicubic(source.data(), width, height, by_dots.data(), target_width, target_height, threads, precision);
    CHECK(target == by_dots);
    return target;
}

}  // namespace

// Expected bytes: Image.resize(size, BICUBIC) of Pillow 11.3.0.

TEST(enlarges_as_pillow_does) {
    const Bytes expected = {0,  118, 77,  84, 63, 160, 245, 0,   255, 255, 130, 133, 255, 224, 36,
                            21, 56,  153, 78, 65, 178, 185, 104, 203, 236, 185, 131, 255, 234, 80,
                            45, 0,   228, 71, 67, 195, 125, 208, 143, 213, 239, 128, 255, 244, 123};
    CHECK(resized(picture(3, 2), 3, 2, 5, 3) == expected);
}

TEST(shrinks_as_pillow_does) {
    const Bytes expected = {114, 159, 154, 130, 157, 133, 142, 130, 111, 128, 154, 139, 175, 118, 111, 99, 114, 105};
    CHECK(resized(picture(7, 6), 7, 6, 3, 2) == expected);
}

// Height first, as Pillow 13 does here, gives other bytes: the intermediate picture is rounded.
TEST(width_comes_before_height) {
    const Bytes expected = {138, 174, 76,  145, 143, 112, 160, 81,  183, 163, 58,  214,
                            113, 159, 121, 111, 174, 118, 102, 204, 122, 96,  219, 124};
    CHECK(resized(picture(2, 5), 2, 5, 4, 2) == expected);
}

// Of the same picture, torchvision's resize of bytes: two of them are a level off Pillow's.
TEST(weights_of_16_bits_as_torchvision_has_them) {
    const Bytes expected = {138, 174, 76,  145, 142, 112, 160, 81,  183, 163, 58,  214,
                            113, 159, 121, 111, 174, 118, 103, 204, 122, 96,  219, 124};
    CHECK(resized(picture(2, 5), 2, 5, 4, 2, 1, Weights::kInt16) == expected);
}

TEST(sides_of_one_pixel) {
    CHECK(resized(picture(1, 4), 1, 4, 2, 1) == Bytes({151, 86, 156, 151, 86, 156}));
    const Bytes row = {157, 85, 155, 134, 115, 159};
    Bytes rows;
    for (int i = 0; i < 3; i++) {
        rows.insert(rows.end(), row.begin(), row.end());
    }
    CHECK(resized(picture(5, 1), 5, 1, 2, 3) == rows);
}

TEST(same_size_changes_nothing) {
    const Bytes source = picture(31, 17);
    CHECK(resized(source, 31, 17, 31, 17) == source);
}

TEST(an_axis_of_unchanged_size_is_left_alone) {
    const Bytes source = picture(40, 30);
    const Bytes wider = resized(source, 40, 30, 56, 30);
    for (int y = 0; y < 30; y++) {
        const Bytes row(source.begin() + y * 120, source.begin() + (y + 1) * 120);
        CHECK(std::equal(wider.begin() + y * 168, wider.begin() + (y + 1) * 168, resized(row, 40, 1, 56, 1).begin()));
    }
    CHECK(resized(wider, 56, 30, 56, 84) == resized(source, 40, 30, 56, 84));
}

TEST(one_colour_stays_one_colour) {
    for (const int level : {0, 1, 128, 254, 255}) {
        const Bytes source(static_cast<size_t>(90 * 7 * 3), static_cast<uint8_t>(level));
        for (const Weights precision : {Weights::kInt32, Weights::kInt16}) {
            const Bytes target = resized(source, 90, 7, 28, 364, 1, precision);
            CHECK(target == Bytes(target.size(), static_cast<uint8_t>(level)));
        }
    }
}

TEST(the_number_of_threads_changes_nothing) {
    const Bytes source = picture(123, 211);
    for (const auto & [width, height] : {std::pair{56, 84}, {252, 28}, {123, 308}, {84, 211}, {28, 2}}) {
        const Bytes expected = resized(source, 123, 211, width, height);
        for (const int threads : {0, 2, 3, 7, 64}) {
            CHECK(resized(source, 123, 211, width, height, threads) == expected);
        }
    }
}

TEST(every_width_to_every_other) {
    for (int width = 1; width <= 40; width++) {
        const Bytes source = picture(width, 20);
        for (int target = 1; target <= 40; target++) {
            CHECK_EQ(resized(source, width, 20, target, 17).size(), size_t(target) * 17 * 3);
        }
    }
}

TEST(extreme_scales) {
    const Bytes source = picture(2000, 3);
    CHECK_EQ(resized(source, 2000, 3, 1, 1).size(), size_t(3));
    const Bytes pixel = {10, 200, 255};
    const Bytes target = resized(pixel, 1, 1, 700, 50);
    CHECK_EQ(std::accumulate(target.begin(), target.end(), 0L), 700L * 50 * (10 + 200 + 255));
}

int main() {
    return check::run();
}
