#include "state_file.h"

#include "hash/xxhash/xxhash.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>

namespace qvl {

namespace {

namespace fs = std::filesystem;

constexpr char kMagic[] = "QVLKV01";
// Written and hashed at a time, so that a large file can be cancelled.
constexpr size_t kSlice = 4 << 20;

struct Header {
    char magic[sizeof(kMagic)];
    uint64_t index_bytes;  // of what tells of the blobs: identity, items, sizes
    uint64_t bytes;        // of index and blobs
    uint64_t checksum;     // of both
};
static_assert(sizeof(Header) == 32, "the file format has no holes");

class Checksum {
  public:
    Checksum() : state_(XXH3_createState(), XXH3_freeState) {
        if (!state_) {
            throw std::bad_alloc();
        }
        XXH3_64bits_reset(state_.get());
    }
    void add(const uint8_t * data, size_t size) { XXH3_64bits_update(state_.get(), data, size); }
    uint64_t value() const { return XXH3_64bits_digest(state_.get()); }

  private:
    std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state_;
};

class IndexWriter {
  public:
    template <typename T>
    void number(T value) {
        const auto * from = reinterpret_cast<const uint8_t *>(&value);
        bytes_.insert(bytes_.end(), from, from + sizeof(value));
    }
    void text(const std::string & value) {
        number<uint64_t>(value.size());
        bytes_.insert(bytes_.end(), value.begin(), value.end());
    }
    const std::vector<uint8_t> & bytes() const { return bytes_; }

  private:
    std::vector<uint8_t> bytes_;
};

// Reads no further than the index goes: `good` tells.
class IndexReader {
  public:
    explicit IndexReader(const std::vector<uint8_t> & bytes) : bytes_(bytes) {}

    template <typename T>
    T number() {
        T value{};
        if (take(sizeof(value))) {
            std::memcpy(&value, bytes_.data() + at_ - sizeof(value), sizeof(value));
        }
        return value;
    }
    std::string text() {
        const auto size = number<uint64_t>();
        return take(size) ? std::string(bytes_.begin() + static_cast<std::ptrdiff_t>(at_ - size),
                                        bytes_.begin() + static_cast<std::ptrdiff_t>(at_))
                          : std::string();
    }
    bool good() const { return good_; }

  private:
    bool take(uint64_t size) {
        good_ = good_ && size <= bytes_.size() - at_;
        at_ += good_ ? size : 0;
        return good_;
    }

    const std::vector<uint8_t> & bytes_;
    size_t at_ = 0;
    bool good_ = true;
};

std::vector<uint8_t> index_of(const std::string & identity, const StoredSequence & sequence) {
    IndexWriter index;
    index.text(identity);
    index.number<uint64_t>(sequence.items.size());
    for (size_t i = 0; i < sequence.items.size(); i++) {
        const SequenceItem & item = sequence.items[i];
        index.number(item.token);
        index.text(item.media);
        index.number(item.position);
        index.number(item.cells);
        index.number(item.adapters);
        index.number<uint8_t>(sequence.batch_ends[i]);
    }
    index.number<uint64_t>(sequence.copies.size());
    for (const auto & copy : sequence.copies) {
        index.number<uint64_t>(copy.items);
        index.number<uint8_t>(copy.lasting);
        index.number<uint64_t>(copy.state->size());
    }
    index.number<uint64_t>(sequence.state.size());
    return index.bytes();
}

// The blobs of `sequence` have their sizes then. False: of another model, or not what index_of writes.
bool read_index(const std::vector<uint8_t> & bytes, const std::string & identity, uint64_t blob_bytes,
                StoredSequence & sequence, std::vector<std::vector<uint8_t>> & copies) {
    IndexReader index(bytes);
    if (index.text() != identity) {
        return false;
    }
    for (auto left = index.number<uint64_t>(); left > 0 && index.good(); left--) {
        SequenceItem item{};
        item.token = index.number<int32_t>();
        item.media = index.text();
        item.position = index.number<int32_t>();
        item.cells = index.number<int32_t>();
        item.adapters = index.number<uint64_t>();
        if (item.position < 0 || item.cells < 1) {
            return false;
        }
        sequence.items.push_back(std::move(item));
        sequence.batch_ends.push_back(index.number<uint8_t>() != 0);
    }
    uint64_t room = blob_bytes;
    const auto blob = [&] {
        const auto size = index.number<uint64_t>();
        if (size > room) {
            room = 0;
            return std::vector<uint8_t>();
        }
        room -= size;
        return std::vector<uint8_t>(size);
    };
    for (auto left = index.number<uint64_t>(); left > 0 && index.good(); left--) {
        const auto items = index.number<uint64_t>();
        const bool lasting = index.number<uint8_t>() != 0;
        if (items > sequence.items.size()) {
            return false;
        }
        sequence.copies.push_back({items, lasting, nullptr});
        copies.push_back(blob());
    }
    sequence.state = blob();
    return index.good() && room == 0 && !sequence.items.empty();
}

}  // namespace

uint64_t state_bytes(const std::string & identity, const StoredSequence & sequence) {
    uint64_t bytes = sizeof(Header) + index_of(identity, sequence).size() + sequence.state.size();
    for (const auto & copy : sequence.copies) {
        bytes += copy.state->size();
    }
    return bytes;
}

std::error_code append_state(const fs::path & path, const std::string & identity, const StoredSequence & sequence,
                             const std::function<bool()> & stop) {
    const std::vector<uint8_t> index = index_of(identity, sequence);
    std::vector<const std::vector<uint8_t> *> parts{&index};
    for (const auto & copy : sequence.copies) {
        parts.push_back(copy.state.get());
    }
    parts.push_back(&sequence.state);
    Header header{};
    std::memcpy(header.magic, kMagic, sizeof(kMagic));
    header.index_bytes = index.size();
    Checksum checksum;
    for (const auto * part : parts) {
        header.bytes += part->size();
        checksum.add(part->data(), part->size());
    }
    header.checksum = checksum.value();
    errno = 0;
    std::ofstream file(path, std::ios::binary | std::ios::app);
    file.write(reinterpret_cast<const char *>(&header), sizeof(header));
    for (const auto * part : parts) {
        for (size_t at = 0; at < part->size() && file && !stop(); at += kSlice) {
            file.write(reinterpret_cast<const char *>(part->data()) + at,
                       static_cast<std::streamsize>(std::min(kSlice, part->size() - at)));
        }
    }
    file.close();
    return file ? std::error_code() : std::error_code(errno != 0 ? errno : EIO, std::generic_category());
}

std::optional<StoredSequence> read_state(const fs::path & path, uint64_t offset, const std::string & identity) {
    std::error_code failed;
    const uint64_t size = fs::file_size(path, failed);
    std::ifstream file(path, std::ios::binary);
    const auto read = [&](void * to, size_t count) {
        return static_cast<bool>(file.read(static_cast<char *>(to), static_cast<std::streamsize>(count)));
    };
    Header header{};
    if (failed || offset > size || !file.seekg(static_cast<std::streamoff>(offset)) || !read(&header, sizeof(header)) ||
        std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0 || header.bytes != size - offset - sizeof(header) ||
        header.index_bytes > header.bytes) {
        return std::nullopt;
    }
    std::vector<uint8_t> index(header.index_bytes);
    StoredSequence sequence;
    std::vector<std::vector<uint8_t>> copies;
    if (!read(index.data(), index.size()) ||
        !read_index(index, identity, header.bytes - header.index_bytes, sequence, copies)) {
        return std::nullopt;
    }
    Checksum checksum;
    checksum.add(index.data(), index.size());
    const auto blob = [&](std::vector<uint8_t> & into) {
        const bool whole = read(into.data(), into.size());
        checksum.add(into.data(), into.size());
        return whole;
    };
    for (size_t i = 0; i < copies.size(); i++) {
        if (!blob(copies[i])) {
            return std::nullopt;
        }
        sequence.copies[i].state = std::make_shared<const std::vector<uint8_t>>(std::move(copies[i]));
    }
    if (!blob(sequence.state) || checksum.value() != header.checksum) {
        return std::nullopt;
    }
    return sequence;
}

}  // namespace qvl
