// The header of a GGUF file, read and checked before any loader sees the file. Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace qvl {

using GgufScalar = std::variant<double, bool, std::string>;
using GgufValue = std::variant<GgufScalar, std::vector<GgufScalar>>;

struct GgufTensor {
    std::string name;
    std::string type;
    std::vector<int64_t> shape;
    uint64_t offset;  // of its data in the file
    uint64_t bytes;
};

struct GgufHeader {
    uint64_t file_bytes;
    std::vector<std::pair<std::string, GgufValue>> metadata;  // arrays of more than 64 elements are left out
    std::vector<GgufTensor> tensors;
};

// Throws Error FILE_NOT_FOUND, NOT_GGUF, GGUF_CORRUPT or GGUF_TRUNCATED (tensor data end behind the end of the file).
GgufHeader read_gguf_header(const std::string & path);

}  // namespace qvl
