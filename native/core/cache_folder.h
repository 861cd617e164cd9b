// Files of a folder that several processes may share. A file is written under another name and renamed; the size of all
// is limited, the longest unused go first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

namespace qvl {

class CacheFolder {
  public:
    // `maker` names what makes the content, as a folder within `folder`; `extension` what kind it is, one of kExtensions.
    // `most_bytes` counts for the whole folder, the files of other makers and kinds included.
    CacheFolder(const std::string & folder, const std::string & maker, const char * extension, uint64_t most_bytes);

    // Any thread. Where the content of this name is, if anywhere: it may be gone by the time it is read.
    std::filesystem::path path_of(const std::string & name) const;
    // Any thread. Makes it the most recently used; false if there is no such file.
    bool touch(const std::string & name) const;
    // Any thread. What is damaged.
    void remove(const std::string & name) const;

    // Any thread. Names are 64 hexadecimal digits; others are not written, and nothing that is larger than the limit.
    // `fill` makes a file of so many bytes at the path it gets. Throws Error CACHE_UNWRITABLE.
    void write(const std::string & name, uint64_t bytes,
               const std::function<std::error_code(const std::filesystem::path &)> & fill);

    static bool is_name(const std::string & text);

  private:
    void trim();

    const std::filesystem::path folder_;
    const std::filesystem::path maker_;
    const std::string extension_;
    const uint64_t most_bytes_;
    std::mutex mutex_;
    uint64_t written_ = 0;  // since the folder was last looked through
    bool looked_through_ = false;
};

}  // namespace qvl
