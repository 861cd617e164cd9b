#include "gguf_header.h"

#include "error.h"
#include "ggml.h"
#include "gguf.h"
#include "log.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_set>

namespace qvl {

namespace {

constexpr size_t kMaxArray = 64;

struct GgufDeleter {
    void operator()(gguf_context * ctx) const { gguf_free(ctx); }
};
using GgufPtr = std::unique_ptr<gguf_context, GgufDeleter>;

template <typename T>
GgufScalar number_at(const void * data, size_t i) {
    T value;
    std::memcpy(&value, static_cast<const char *>(data) + i * sizeof(T), sizeof(T));
    return static_cast<double>(value);
}

std::optional<GgufScalar> element(gguf_type type, const void * data, size_t i) {
    switch (type) {
        case GGUF_TYPE_UINT8:
            return number_at<uint8_t>(data, i);
        case GGUF_TYPE_INT8:
            return number_at<int8_t>(data, i);
        case GGUF_TYPE_UINT16:
            return number_at<uint16_t>(data, i);
        case GGUF_TYPE_INT16:
            return number_at<int16_t>(data, i);
        case GGUF_TYPE_UINT32:
            return number_at<uint32_t>(data, i);
        case GGUF_TYPE_INT32:
            return number_at<int32_t>(data, i);
        case GGUF_TYPE_UINT64:
            return number_at<uint64_t>(data, i);
        case GGUF_TYPE_INT64:
            return number_at<int64_t>(data, i);
        case GGUF_TYPE_FLOAT32:
            return number_at<float>(data, i);
        case GGUF_TYPE_FLOAT64:
            return number_at<double>(data, i);
        case GGUF_TYPE_BOOL:
            return static_cast<const int8_t *>(data)[i] != 0;
        default:
            return std::nullopt;
    }
}

std::optional<GgufValue> value_of(const gguf_context * ctx, int64_t key) {
    const gguf_type type = gguf_get_kv_type(ctx, key);
    if (type == GGUF_TYPE_STRING) {
        return GgufScalar(std::string(gguf_get_val_str(ctx, key)));
    }
    if (type != GGUF_TYPE_ARRAY) {
        const auto scalar = element(type, gguf_get_val_data(ctx, key), 0);
        return scalar ? std::optional<GgufValue>(*scalar) : std::nullopt;
    }
    const size_t n = gguf_get_arr_n(ctx, key);
    if (n > kMaxArray) {
        return std::nullopt;
    }
    const gguf_type element_type = gguf_get_arr_type(ctx, key);
    std::vector<GgufScalar> values;
    for (size_t i = 0; i < n; i++) {
        if (element_type == GGUF_TYPE_STRING) {
            values.emplace_back(std::string(gguf_get_arr_str(ctx, key, i)));
        } else if (const auto value = element(element_type, gguf_get_arr_data(ctx, key), i)) {
            values.push_back(*value);
        }
    }
    return values;
}

// Upstream lets a shape pass whose number of elements wraps around to zero.
bool possible_shape(const int64_t * ne) {
    constexpr int64_t kMostElements = int64_t{1} << 48;
    int64_t elements = 1;
    for (int i = 0; i < GGML_MAX_DIMS; i++) {
        if (ne[i] < 1 || elements > kMostElements / ne[i]) {
            return false;
        }
        elements *= ne[i];
    }
    return true;
}

// llama.cpp asserts that no two tokens have the same text.
bool distinct_tokens(const gguf_context * ctx) {
    const int64_t key = gguf_find_key(ctx, "tokenizer.ggml.tokens");
    if (key < 0 || gguf_get_kv_type(ctx, key) != GGUF_TYPE_ARRAY || gguf_get_arr_type(ctx, key) != GGUF_TYPE_STRING) {
        return true;
    }
    std::unordered_set<std::string_view> seen;
    for (size_t i = 0; i < gguf_get_arr_n(ctx, key); i++) {
        if (!seen.insert(gguf_get_arr_str(ctx, key, i)).second) {
            return false;
        }
    }
    return true;
}

[[noreturn]] void refuse_corrupt(const std::string & path, const std::string & detail) {
    throw Error("GGUF_CORRUPT", "The header of '" + path + "' is damaged or cut off. Download the file again.", detail);
}

void check_magic(const std::string & path) {
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(std::filesystem::u8path(path), ignored)) {
        throw Error("FILE_NOT_FOUND",
                    "No file at '" + path + "'. Check the path; it is resolved against the working directory.");
    }
    std::ifstream file(std::filesystem::u8path(path), std::ios::binary);
    char magic[4] = {};
    if (!file.is_open()) {
        throw Error("FILE_NOT_FOUND", "The file '" + path + "' cannot be opened. Check its permissions.");
    }
    if (!file.read(magic, sizeof(magic)) || std::memcmp(magic, "GGUF", sizeof(magic)) != 0) {
        throw Error("NOT_GGUF", "'" + path +
                                    "' is not a GGUF file. Point to a .gguf file, or convert the checkpoint with "
                                    "llama.cpp's convert_hf_to_gguf.py.");
    }
}

}  // namespace

GgufHeader read_gguf_header(const std::string & path) {
    check_magic(path);
    LogTail tail;
    const GgufPtr ctx(gguf_init_from_file(path.c_str(), {/*no_alloc*/ true, /*ctx*/ nullptr}));
    if (!ctx) {
        refuse_corrupt(path, tail.text());
    }
    if (!distinct_tokens(ctx.get())) {
        refuse_corrupt(path, "two tokens have the same text");
    }
    GgufHeader header;
    header.file_bytes = std::filesystem::file_size(std::filesystem::u8path(path));
    for (int64_t i = 0; i < gguf_get_n_kv(ctx.get()); i++) {
        if (auto value = value_of(ctx.get(), i)) {
            header.metadata.emplace_back(gguf_get_key(ctx.get(), i), std::move(*value));
        }
    }
    uint64_t end = gguf_get_data_offset(ctx.get());
    for (int64_t i = 0; i < gguf_get_n_tensors(ctx.get()); i++) {
        const int64_t * ne = gguf_get_tensor_ne(ctx.get(), i);
        if (!possible_shape(ne)) {
            refuse_corrupt(path, std::string("impossible shape of tensor ") + gguf_get_tensor_name(ctx.get(), i));
        }
        int dims = GGML_MAX_DIMS;
        while (dims > 1 && ne[dims - 1] == 1) {
            dims--;
        }
        const uint64_t offset = gguf_get_data_offset(ctx.get()) + gguf_get_tensor_offset(ctx.get(), i);
        const uint64_t bytes = gguf_get_tensor_size(ctx.get(), i);
        header.tensors.push_back({gguf_get_tensor_name(ctx.get(), i),
                                  ggml_type_name(gguf_get_tensor_type(ctx.get(), i)),
                                  std::vector<int64_t>(ne, ne + dims), offset, bytes});
        end = std::max(end, offset + bytes);
    }
    if (end > header.file_bytes) {
        throw Error("GGUF_TRUNCATED", "'" + path + "' is cut off: it has " + std::to_string(header.file_bytes) +
                                          " bytes, its tensors need " + std::to_string(end) +
                                          ". Download the file again.");
    }
    return header;
}

}  // namespace qvl
