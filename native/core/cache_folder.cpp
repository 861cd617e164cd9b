#include "cache_folder.h"

#include "error.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <system_error>
#include <vector>

#ifdef _WIN32
#    include <process.h>
#else
#    include <unistd.h>
#endif

namespace qvl {

namespace {

namespace fs = std::filesystem;

constexpr size_t kNameLength = 64;
constexpr const char * kExtensions[] = {".embedding", ".prompt"};
constexpr const char * kUnfinished = ".unfinished";
constexpr std::chrono::hours kAbandoned{1};
// The folder is looked through after so large a part of its limit was written: by so much it may grow beyond it, for
// each process that writes.
constexpr uint64_t kSlack = 64;

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

CacheFolder::CacheFolder(const std::string & folder, const std::string & maker, const char * extension,
                         uint64_t most_bytes)
    : folder_(fs::u8path(folder)), maker_(folder_ / maker), extension_(extension), most_bytes_(most_bytes) {}

bool CacheFolder::is_name(const std::string & text) {
    return text.size() == kNameLength && std::all_of(text.begin(), text.end(), [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
           });
}

fs::path CacheFolder::path_of(const std::string & name) const {
    return maker_ / (name + extension_);
}

bool CacheFolder::touch(const std::string & name) const {
    std::error_code failed;
    fs::last_write_time(path_of(name), fs::file_time_type::clock::now(), failed);
    return !failed;
}

void CacheFolder::remove(const std::string & name) const {
    std::error_code ignored;
    fs::remove(path_of(name), ignored);
}

void CacheFolder::write(const std::string & name, uint64_t bytes,
                        const std::function<std::error_code(const fs::path &)> & fill) {
    if (!is_name(name) || bytes > most_bytes_) {
        return;
    }
    std::error_code failed;
    if (!fs::exists(folder_, failed) && fs::create_directories(folder_, failed)) {
        fs::permissions(folder_, fs::perms::owner_all, failed);  // what is kept tells of the picture
    }
    fs::create_directories(maker_, failed);
    if (failed) {
        refuse(folder_, failed.message());
    }
    const fs::path unfinished = maker_ / unfinished_name(name);
    failed = fill(unfinished);
    if (!failed) {
        fs::rename(unfinished, path_of(name), failed);
    }
    if (failed) {
        std::error_code ignored;
        fs::remove(unfinished, ignored);
        refuse(folder_, failed.message());
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    written_ += bytes;
    if (!looked_through_ || written_ > most_bytes_ / kSlack) {
        trim();
    }
}

// Touches nothing that was not written by this class: the folder may be the user's home.
void CacheFolder::trim() {
    looked_through_ = true;
    written_ = 0;
    const auto now = fs::file_time_type::clock::now();
    std::vector<Entry> entries;
    uint64_t total = 0;
    std::error_code failed;
    for (fs::directory_iterator maker(folder_, failed), end; maker != end; maker.increment(failed)) {
        std::error_code ignored;
        for (fs::directory_iterator file(maker->path(), ignored); file != end; file.increment(ignored)) {
            std::error_code gone;  // another process trims as well
            const fs::path path = file->path();
            const std::string name = path.filename().u8string().substr(0, kNameLength);
            const Entry entry{path, file->file_size(gone), file->last_write_time(gone)};
            if (gone || !is_name(name)) {
                continue;
            }
            if (path.extension() == kUnfinished && now - entry.used > kAbandoned) {
                fs::remove(path, gone);
            } else if (std::count(std::begin(kExtensions), std::end(kExtensions), path.extension()) > 0) {
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
