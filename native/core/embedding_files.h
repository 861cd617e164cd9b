// Embeddings as files of a folder that several processes may share: read back with their checksum, and removed where they
// are damaged.
#pragma once

#include "cache_folder.h"

#include <cstddef>
#include <cstdint>
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
    bool touch(const std::string & name) const { return folder_.touch(name); }

    // One thread at a time. Names are SHA-256 in hexadecimal; others are not written. Throws Error CACHE_UNWRITABLE.
    void write(const std::string & name, const std::vector<float> & rows);

  private:
    CacheFolder folder_;
};

}  // namespace qvl
