// Embeddings as files of a folder that several processes may share. A file is written under another name and renamed,
// read back with its checksum, and removed where it is damaged; the size of all is limited, the longest unused go first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace qvl {

class EmbeddingFiles {
  public:
    // `encoder` names what makes the rows, as a folder within `folder`. `most_bytes` counts for the whole folder, the
    // files of other encoders included.
    EmbeddingFiles(const std::string & folder, const std::string & encoder, uint64_t most_bytes);

    // Any thread. What was written under this name, if it is whole and has so many values. Never throws: what cannot
    // be read is not there.
    std::optional<std::vector<float>> read(const std::string & name, size_t values) const;

    // Any thread. Makes it the most recently used; false if there is no such file.
    bool touch(const std::string & name) const;

    // One thread at a time. Names are SHA-256 in hexadecimal; others are not written. Throws Error CACHE_UNWRITABLE.
    void write(const std::string & name, const std::vector<float> & rows);

  private:
    std::filesystem::path path_of(const std::string & name) const;
    void trim();

    const std::filesystem::path folder_;
    const std::filesystem::path encoder_;
    const uint64_t most_bytes_;
    uint64_t written_ = 0;  // since the folder was last looked through
    bool looked_through_ = false;
};

}  // namespace qvl
