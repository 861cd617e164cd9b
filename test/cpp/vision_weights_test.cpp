// Weights change their type only where they keep their value.
#include "vision_weights.h"

#include "check.h"

#include <cmath>
#include <cstring>

using namespace qvl;

namespace {

float f16(uint16_t bits) {
    return ggml_fp16_to_fp32(bits);
}

float bf16(uint16_t bits) {
    return ggml_bf16_to_fp32({bits});
}

bool has_bf16(float value) {
    uint32_t bits = 0;
    std::memcpy(&bits, &value, sizeof(bits));
    return (bits & 0xffff) == 0;
}

}  // namespace

TEST(each_f16_number_stays_what_it_is_or_is_refused) {
    int kept = 0;
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        const auto before = static_cast<uint16_t>(bits);
        uint16_t value = before;
        const bool converted = to_bf16(&value, 1);
        if (std::isnan(f16(before))) {
            CHECK(converted ? std::isnan(bf16(value)) : value == before);
            continue;
        }
        CHECK_EQ(converted, has_bf16(f16(before)));
        CHECK_EQ(converted ? bf16(value) : f16(value), f16(before));
        CHECK_EQ(std::signbit(converted ? bf16(value) : f16(value)), std::signbit(f16(before)));
        kept += converted ? 1 : 0;
    }
    CHECK(kept > 0x2000 && kept < 0x3000);  // three bits of the mantissa must be zero, a few more of the smallest may
}

TEST(what_was_bf16_before_it_became_f16_is_converted) {
    for (uint32_t bits = 0; bits < 0x10000; bits++) {
        const float original = bf16(static_cast<uint16_t>(bits));
        if (std::isnan(original)) {
            continue;
        }
        uint16_t value = ggml_fp32_to_fp16(original);  // too large ones become infinite, too small ones zero
        const float in_file = f16(value);
        CHECK(to_bf16(&value, 1));
        CHECK_EQ(bf16(value), in_file);
    }
}

TEST(one_number_that_would_change_keeps_them_all) {
    std::vector<uint16_t> values(1000, ggml_fp32_to_fp16(0.5f));
    values[777] = ggml_fp32_to_fp16(0.1f);
    const auto before = values;
    CHECK(!to_bf16(values.data(), values.size()));
    CHECK(values == before);
    values[777] = ggml_fp32_to_fp16(0.125f);
    CHECK(to_bf16(values.data(), values.size()));
    CHECK_EQ(bf16(values[777]), 0.125f);
    CHECK_EQ(bf16(values[0]), 0.5f);
}

int main() {
    return check::run();
}
