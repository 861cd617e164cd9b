#include "vision_weights.h"

#include "ggml-backend.h"

#include <algorithm>
#include <cstring>
#include <map>

namespace qvl {

namespace {

// Bits of the number as F32. Without branches, so that compilers make vectors of it; no F32 subnormal on the way, which
// some CPUs take a hundred times as long for.
inline uint32_t f32_bits(uint16_t f16) {
    constexpr float kScale = 0x1.0p-112f;
    const uint32_t bits = static_cast<uint32_t>(f16 & 0x7fff) << 17;  // without the sign, at the top
    const uint32_t normal_bits = (bits >> 4) + (uint32_t{0xE0} << 23);
    const uint32_t subnormal_bits = (bits >> 17) | (uint32_t{126} << 23);
    float normal = 0;
    float subnormal = 0;
    std::memcpy(&normal, &normal_bits, sizeof(normal));
    std::memcpy(&subnormal, &subnormal_bits, sizeof(subnormal));
    const float value = bits < (uint32_t{1} << 27) ? subnormal - 0.5f : normal * kScale;
    uint32_t result = 0;
    std::memcpy(&result, &value, sizeof(result));
    return result | (static_cast<uint32_t>(f16 & 0x8000) << 16);
}

bool on_cpu(const ggml_tensor * tensor) {
    // ggml's plain memory names no device; a GPU that shares the host's memory does.
    ggml_backend_dev_t device = ggml_backend_buft_get_device(ggml_backend_buffer_get_type(tensor->buffer));
    return ggml_backend_buffer_is_host(tensor->buffer) &&
           (device == nullptr || ggml_backend_dev_type(device) == GGML_BACKEND_DEVICE_TYPE_CPU);
}

bool is_matrix(const ggml_tensor * tensor) {
    // The table of positions is two-dimensional, but rows are taken from it.
    return ggml_n_dims(tensor) == 2 && std::strstr(tensor->name, "position_embd") == nullptr;
}

}  // namespace

bool cpu_prefers_bf16() {
    ggml_backend_dev_t cpu = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    ggml_backend_reg_t registry = cpu == nullptr ? nullptr : ggml_backend_dev_backend_reg(cpu);
    const auto features = registry == nullptr
                              ? nullptr
                              : reinterpret_cast<ggml_backend_get_features_t>(
                                    ggml_backend_reg_get_proc_address(registry, "ggml_backend_get_features"));
    if (features == nullptr) {
        return false;
    }
    for (const ggml_backend_feature * feature = features(registry); feature->name != nullptr; feature++) {
        if (std::strcmp(feature->name, "AVX512_BF16") == 0) {
            return std::strcmp(feature->value, "1") == 0;
        }
    }
    return false;
}

bool to_bf16(uint16_t * values, size_t n) {
    uint32_t lost = 0;
    for (size_t i = 0; i < n; i++) {
        lost |= f32_bits(values[i]) & 0xffff;
    }
    if (lost != 0) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        values[i] = static_cast<uint16_t>(f32_bits(values[i]) >> 16);
    }
    return true;
}

size_t matrices_to_bf16(ggml_context * weights) {
    size_t count = 0;
    for (ggml_tensor * t = ggml_get_first_tensor(weights); t != nullptr; t = ggml_get_next_tensor(weights, t)) {
        // Both types have two bytes a number: strides and places remain.
        if (t->type == GGML_TYPE_F16 && is_matrix(t) && on_cpu(t) &&
            to_bf16(static_cast<uint16_t *>(t->data), static_cast<size_t>(ggml_nelements(t)))) {
            t->type = GGML_TYPE_BF16;
            count++;
        }
    }
    return count;
}

const char * main_type(ggml_context * weights) {
    std::map<ggml_type, size_t> bytes;
    for (ggml_tensor * t = ggml_get_first_tensor(weights); t != nullptr; t = ggml_get_next_tensor(weights, t)) {
        if (is_matrix(t)) {
            bytes[t->type] += ggml_nbytes(t);
        }
    }
    const auto most =
        std::max_element(bytes.begin(), bytes.end(), [](auto & a, auto & b) { return a.second < b.second; });
    return most == bytes.end() ? "" : ggml_type_name(most->first);
}

}  // namespace qvl
