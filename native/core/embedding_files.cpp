#include "embedding_files.h"

#include "hash/xxhash/xxhash.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>

namespace qvl {

namespace {

namespace fs = std::filesystem;

constexpr char kMagic[] = "QVLEMB1";
constexpr size_t kNameLength = 64;  // SHA-256 in hexadecimal

struct Header {
    char magic[sizeof(kMagic)];
    char name[kNameLength];
    uint64_t values;
    uint64_t checksum;  // of the rows
};
static_assert(sizeof(Header) == 88, "the file format has no holes");

Header header_of(const std::string & name, const std::vector<float> & rows) {
    Header header{};
    std::memcpy(header.magic, kMagic, sizeof(kMagic));
    std::memcpy(header.name, name.data(), kNameLength);
    header.values = rows.size();
    header.checksum = XXH3_64bits(rows.data(), rows.size() * sizeof(float));
    return header;
}

// What is whole and what its name says; else nothing.
std::optional<std::vector<float>> content(std::ifstream & file, const std::string & name, size_t values) {
    Header header{};
    if (!file.read(reinterpret_cast<char *>(&header), sizeof(header)) || header.values != values) {
        return std::nullopt;
    }
    std::vector<float> rows(values);
    const auto bytes = static_cast<std::streamsize>(values * sizeof(float));
    if (!file.read(reinterpret_cast<char *>(rows.data()), bytes) || file.peek() != std::ifstream::traits_type::eof()) {
        return std::nullopt;
    }
    const Header expected = header_of(name, rows);
    const bool finite = std::all_of(rows.begin(), rows.end(), [](float value) { return std::isfinite(value); });
    return finite && std::memcmp(&header, &expected, sizeof(header)) == 0 ? std::make_optional(std::move(rows))
                                                                          : std::nullopt;
}

}  // namespace

EmbeddingFiles::EmbeddingFiles(const std::string & folder, const std::string & encoder, uint64_t most_bytes)
    : folder_(folder, encoder, ".embedding", most_bytes) {}

std::optional<std::vector<float>> EmbeddingFiles::read(const std::string & name, size_t values) const {
    if (!CacheFolder::is_name(name)) {
        return std::nullopt;
    }
    std::ifstream file(folder_.path_of(name), std::ios::binary);
    if (!file.is_open()) {
        return std::nullopt;
    }
    std::error_code failed;
    const bool whole = fs::file_size(folder_.path_of(name), failed) == sizeof(Header) + values * sizeof(float);
    auto rows = whole ? content(file, name, values) : std::nullopt;
    file.close();
    if (rows) {
        touch(name);
    } else {
        folder_.remove(name);
    }
    return rows;
}

void EmbeddingFiles::write(const std::string & name, const std::vector<float> & rows) {
    const uint64_t bytes = sizeof(Header) + rows.size() * sizeof(float);
    folder_.write(name, bytes, [&](const fs::path & path) {
        const Header header = header_of(name, rows);
        errno = 0;
        std::ofstream file(path, std::ios::binary);
        file.write(reinterpret_cast<const char *>(&header), sizeof(header));
        file.write(reinterpret_cast<const char *>(rows.data()), static_cast<std::streamsize>(bytes - sizeof(header)));
        file.close();
        return file ? std::error_code() : std::error_code(errno != 0 ? errno : EIO, std::generic_category());
    });
}

}  // namespace qvl
