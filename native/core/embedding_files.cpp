#include "embedding_files.h"

#include "error.h"

#include "hash/xxhash/xxhash.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <fstream>

#ifdef _WIN32
#    include <process.h>
#else
#    include <unistd.h>
#endif

namespace qvl {

namespace {

namespace fs = std::filesystem;

constexpr char kMagic[] = "QVLEMB1";
constexpr size_t kNameLength = 64;  // SHA-256 in hexadecimal
constexpr const char * kExtension = ".embedding";
constexpr const char * kUnfinished = ".unfinished";
constexpr std::chrono::hours kAbandoned{1};
// The folder is looked through after so large a part of its limit was written: by so much it may grow beyond it, for
// each process that writes.
constexpr uint64_t kSlack = 64;

struct Header {
    char magic[sizeof(kMagic)];
    char name[kNameLength];
    uint64_t values;
    uint64_t checksum;  // of the rows
};
static_assert(sizeof(Header) == 88, "the file format has no holes");

bool is_name(const std::string & text) {
    return text.size() == kNameLength && std::all_of(text.begin(), text.end(), [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
           });
}

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

// Of this process and this moment: no other writer uses it.
std::string unfinished_name(const std::string & name) {
    static std::atomic<uint64_t> count{0};
#ifdef _WIN32
    const auto process = _getpid();
#else
    const auto process = getpid();
#endif
    return name + "." + std::to_string(process) + "-" + std::to_string(count++) + kUnfinished;
}

[[noreturn]] void refuse(const fs::path & path, const std::string & reason) {
    throw Error("CACHE_UNWRITABLE",
                "The folder for embeddings '" + path.u8string() + "' cannot be written (" + reason +
                    "). Pictures are encoded as if it were not there. Make room or give the right to write, or load "
                    "with another `cacheDir`.");
}

struct Entry {
    fs::path path;
    uint64_t bytes;
    fs::file_time_type used;
};

}  // namespace

EmbeddingFiles::EmbeddingFiles(const std::string & folder, const std::string & encoder, uint64_t most_bytes)
    : folder_(fs::u8path(folder)), encoder_(folder_ / encoder), most_bytes_(most_bytes) {}

fs::path EmbeddingFiles::path_of(const std::string & name) const {
    return encoder_ / (name + kExtension);
}

std::optional<std::vector<float>> EmbeddingFiles::read(const std::string & name, size_t values) const {
    if (!is_name(name)) {
        return std::nullopt;
    }
    const fs::path path = path_of(name);
    std::ifstream file(path, std::ios::binary);
    if (!file.is_open()) {
        return std::nullopt;
    }
    auto rows = content(file, name, values);
    file.close();
    if (rows) {
        touch(name);
    } else {
        std::error_code ignored;
        fs::remove(path, ignored);
    }
    return rows;
}

bool EmbeddingFiles::touch(const std::string & name) const {
    std::error_code failed;
    fs::last_write_time(path_of(name), fs::file_time_type::clock::now(), failed);
    return !failed;
}

void EmbeddingFiles::write(const std::string & name, const std::vector<float> & rows) {
    const uint64_t bytes = sizeof(Header) + rows.size() * sizeof(float);
    if (!is_name(name) || bytes > most_bytes_) {
        return;
    }
    std::error_code failed;
    if (!fs::exists(folder_, failed) && fs::create_directories(folder_, failed)) {
        fs::permissions(folder_, fs::perms::owner_all, failed);  // rows tell of the picture
    }
    fs::create_directories(encoder_, failed);
    if (failed) {
        refuse(folder_, failed.message());
    }
    const fs::path unfinished = encoder_ / unfinished_name(name);
    const Header header = header_of(name, rows);
    errno = 0;
    std::ofstream file(unfinished, std::ios::binary);
    file.write(reinterpret_cast<const char *>(&header), sizeof(header));
    file.write(reinterpret_cast<const char *>(rows.data()), static_cast<std::streamsize>(bytes - sizeof(header)));
    file.close();
    if (file) {
        fs::rename(unfinished, path_of(name), failed);
    } else {
        failed = std::error_code(errno != 0 ? errno : EIO, std::generic_category());
    }
    if (failed) {
        std::error_code ignored;
        fs::remove(unfinished, ignored);
        refuse(folder_, failed.message());
    }
    written_ += bytes;
    if (!looked_through_ || written_ > most_bytes_ / kSlack) {
        trim();
    }
}

// Touches nothing that was not written by this class: the folder may be the user's home.
void EmbeddingFiles::trim() {
    looked_through_ = true;
    written_ = 0;
    const auto now = fs::file_time_type::clock::now();
    std::vector<Entry> entries;
    uint64_t total = 0;
    std::error_code failed;
    for (fs::directory_iterator encoder(folder_, failed), end; encoder != end; encoder.increment(failed)) {
        std::error_code ignored;
        for (fs::directory_iterator file(encoder->path(), ignored); file != end; file.increment(ignored)) {
            std::error_code gone;  // another process trims as well
            const fs::path path = file->path();
            const std::string name = path.filename().u8string().substr(0, kNameLength);
            const Entry entry{path, file->file_size(gone), file->last_write_time(gone)};
            if (gone || !is_name(name)) {
                continue;
            }
            if (path.extension() == kUnfinished && now - entry.used > kAbandoned) {
                fs::remove(path, gone);
            } else if (path.extension() == kExtension) {
                entries.push_back(entry);
                total += entry.bytes;
            }
        }
    }
    std::sort(entries.begin(), entries.end(), [](const Entry & a, const Entry & b) { return a.used < b.used; });
    for (const Entry & entry : entries) {
        if (total <= most_bytes_) {
            return;
        }
        std::error_code ignored;
        fs::remove(entry.path, ignored);
        total -= entry.bytes;
    }
}

}  // namespace qvl
