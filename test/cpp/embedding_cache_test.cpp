// What was encoded once is found again: in memory, in a folder, by another process; and nothing else is.
#include "embedding_cache.h"

#include "check.h"

#include <chrono>
#include <cmath>
#include <fstream>
#include <limits>
#include <thread>

#ifndef _WIN32
#    include <csignal>
#    include <sys/resource.h>
#endif

using namespace qvl;
namespace fs = std::filesystem;

namespace {

// Gone when the test ends.
class Folder {
  public:
    Folder() : path_(fs::temp_directory_path() / ("qvl-cache-test-" + std::to_string(count_++))) {
        fs::remove_all(path_);
    }
    ~Folder() { fs::remove_all(path_); }
    std::string path() const { return path_.u8string(); }
    std::vector<fs::path> files() const {
        std::vector<fs::path> found;
        for (const auto & entry : fs::recursive_directory_iterator(path_)) {
            if (entry.is_regular_file()) {
                found.push_back(entry.path());
            }
        }
        return found;
    }
    fs::path only() const {
        const auto all = files();
        CHECK_EQ(all.size(), size_t{1});
        return all.front();
    }

  private:
    static inline int count_ = 0;
    fs::path path_;
};

// A name as SHA-256 gives them.
std::string hash(char letter) {
    return std::string(64, letter);
}

SharedRows rows(float first, size_t values = 100) {
    std::vector<float> made(values, 0.5f);
    made.front() = first;
    return std::make_shared<const std::vector<float>>(std::move(made));
}

CacheParams in_memory(uint64_t bytes) {
    return {bytes, "", 0, ""};
}

CacheParams on_disk(const Folder & folder, uint64_t folder_bytes = 1 << 20) {
    return {0, folder.path(), folder_bytes, ""};
}

void no_warning(const Error & error) {
    check::fail(__FILE__, __LINE__, "unexpected: " + error.message());
}

// Writes one embedding and waits for the file.
void keep_once(const CacheParams & params, char letter, const SharedRows & kept,
               const std::string & encoder = "encoder") {
    EmbeddingCache cache(params, encoder, no_warning);
    cache.keep(hash(letter), kept, Keep::disk);
}

// The first value of what is found, or -1.
float first_of(EmbeddingCache & cache, char letter, Keep where = Keep::disk, size_t values = 100) {
    const auto found = cache.find(hash(letter), values, where);
    return found ? found->rows->front() : -1.0f;
}

// As a later process finds it.
float first_on_disk(const CacheParams & params, char letter, const std::string & encoder = "encoder") {
    EmbeddingCache cache(params, encoder, no_warning);
    return first_of(cache, letter);
}

}  // namespace

TEST(memory_gives_back_what_was_kept) {
    EmbeddingCache cache(in_memory(1000), "encoder", no_warning);
    CHECK_EQ(first_of(cache, 'a'), -1.0f);
    cache.keep(hash('a'), rows(1), Keep::memory);
    CHECK_EQ(first_of(cache, 'a'), 1.0f);
    CHECK_EQ(first_of(cache, 'b'), -1.0f);
    CHECK_EQ(first_of(cache, 'a', Keep::memory, 200), -1.0f);  // another size is another embedding
    const CacheStats stats = cache.stats();
    CHECK_EQ(stats.memory_hits, uint64_t{1});
    CHECK_EQ(stats.disk_hits, uint64_t{0});
    CHECK_EQ(stats.misses, uint64_t{3});
    CHECK_EQ(stats.entries, uint64_t{1});
    CHECK_EQ(stats.bytes, uint64_t{400});
}

TEST(memory_drops_the_least_recently_used) {
    EmbeddingCache cache(in_memory(800), "encoder", no_warning);
    cache.keep(hash('a'), rows(1), Keep::memory);
    cache.keep(hash('b'), rows(2), Keep::memory);
    CHECK_EQ(first_of(cache, 'a'), 1.0f);
    cache.keep(hash('c'), rows(3), Keep::memory);
    CHECK_EQ(first_of(cache, 'a'), 1.0f);
    CHECK_EQ(first_of(cache, 'b'), -1.0f);
    CHECK_EQ(first_of(cache, 'c'), 3.0f);
    CHECK_EQ(cache.stats().bytes, uint64_t{800});
}

TEST(memory_keeps_one_of_a_name_and_nothing_too_large) {
    EmbeddingCache cache(in_memory(800), "encoder", no_warning);
    cache.keep(hash('a'), rows(1), Keep::memory);
    cache.keep(hash('a'), rows(2), Keep::memory);
    CHECK_EQ(cache.stats().bytes, uint64_t{400});
    cache.keep(hash('b'), rows(3, 201), Keep::memory);
    CHECK_EQ(first_of(cache, 'a'), 2.0f);
    CHECK_EQ(first_of(cache, 'b', Keep::memory, 201), -1.0f);
}

TEST(none_is_neither_kept_nor_looked_for) {
    EmbeddingCache cache(in_memory(800), "encoder", no_warning);
    cache.keep(hash('a'), rows(1), Keep::none);
    CHECK_EQ(first_of(cache, 'a'), -1.0f);
    cache.keep(hash('a'), rows(1), Keep::memory);
    CHECK_EQ(first_of(cache, 'a', Keep::none), -1.0f);
    CHECK_EQ(cache.stats().misses, uint64_t{1});
}

TEST(numbers_that_are_none_are_not_kept) {
    EmbeddingCache cache(in_memory(800), "encoder", no_warning);
    cache.keep(hash('a'), rows(std::numeric_limits<float>::quiet_NaN()), Keep::memory);
    cache.keep(hash('b'), rows(std::numeric_limits<float>::infinity()), Keep::memory);
    CHECK_EQ(cache.stats().entries, uint64_t{0});
}

TEST(a_later_process_finds_what_is_on_the_disk) {
    const Folder folder;
    keep_once(on_disk(folder), 'a', rows(1));
    EmbeddingCache cache({1000, folder.path(), 1 << 20, ""}, "encoder", no_warning);
    const auto found = cache.find(hash('a'), 100, Keep::disk);
    CHECK(found.has_value() && found->on_disk && *found->rows == *rows(1));
    const auto again = cache.find(hash('a'), 100, Keep::disk);
    CHECK(again.has_value() && !again->on_disk);
    CHECK_EQ(cache.stats().disk_hits, uint64_t{1});
    CHECK_EQ(cache.stats().memory_hits, uint64_t{1});
}

TEST(encoders_do_not_share_embeddings) {
    const Folder folder;
    keep_once(on_disk(folder), 'a', rows(1), "one");
    CHECK_EQ(first_on_disk(on_disk(folder), 'a', "other"), -1.0f);
    CHECK_EQ(first_on_disk(on_disk(folder), 'a', "one"), 1.0f);
}

TEST(memory_only_stays_off_the_disk) {
    const Folder folder;
    {
        EmbeddingCache cache({1000, folder.path(), 1 << 20, ""}, "encoder", no_warning);
        cache.keep(hash('a'), rows(1), Keep::memory);
    }
    CHECK_EQ(first_on_disk(on_disk(folder), 'a'), -1.0f);
    {
        // Asked for with the disk later on, it gets there.
        EmbeddingCache cache({1000, folder.path(), 1 << 20, ""}, "encoder", no_warning);
        cache.keep(hash('a'), rows(1), Keep::memory);
        CHECK_EQ(first_of(cache, 'a', Keep::disk), 1.0f);
    }
    CHECK_EQ(first_on_disk(on_disk(folder), 'a'), 1.0f);
}

TEST(every_kind_of_damage_is_noticed_and_removed) {
    const auto damage = [](const std::function<void(const fs::path &)> & harm) {
        const Folder folder;
        keep_once(on_disk(folder), 'a', rows(1));
        const fs::path file = folder.only();
        harm(file);
        CHECK_EQ(first_on_disk(on_disk(folder), 'a'), -1.0f);
        CHECK(!fs::exists(file));
        keep_once(on_disk(folder), 'a', rows(1));  // the place is free again
        CHECK_EQ(first_on_disk(on_disk(folder), 'a'), 1.0f);
    };
    damage([](const fs::path & file) { fs::resize_file(file, fs::file_size(file) - 1); });
    damage([](const fs::path & file) { fs::resize_file(file, 40); });
    damage([](const fs::path & file) { fs::resize_file(file, 0); });
    damage([](const fs::path & file) { std::ofstream(file, std::ios::app) << "x"; });
    damage([](const fs::path & file) { std::ofstream(file) << "something else"; });
    // Every byte counts, wherever it lies.
    for (size_t place = 0; place < 88 + 400; place += 7) {
        damage([place](const fs::path & file) {
            std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
            bytes.seekg(static_cast<std::streamoff>(place));
            const int before = bytes.get();
            bytes.seekp(static_cast<std::streamoff>(place));
            bytes.put(static_cast<char>(before ^ 0x10));
        });
    }
}

TEST(a_file_that_promises_more_than_it_has_takes_no_memory) {
    const Folder folder;
    EmbeddingFiles files(folder.path(), "encoder", 1 << 20);
    const std::string name(64, 'a');
    files.write(name, {1, 2, 3});
    const uint64_t values = uint64_t{1} << 58;
    std::fstream file(folder.only(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(72);  // behind magic and name
    file.write(reinterpret_cast<const char *>(&values), sizeof(values));
    file.close();
    CHECK(!files.read(name, values));
    CHECK(folder.files().empty());
}

TEST(a_file_under_another_name_is_not_taken_for_it) {
    const Folder folder;
    keep_once(on_disk(folder), 'a', rows(1));
    const fs::path file = folder.only();
    fs::copy_file(file, file.parent_path() / (hash('b') + ".embedding"));
    CHECK_EQ(first_on_disk(on_disk(folder), 'b'), -1.0f);
    CHECK_EQ(first_on_disk(on_disk(folder), 'a'), 1.0f);
}

TEST(the_folder_stays_below_its_limit) {
    const Folder folder;
    constexpr uint64_t kMost = 5 * (88 + 400);
    const CacheParams params = on_disk(folder, kMost);
    for (char letter = '0'; letter <= '9'; letter++) {
        keep_once(params, letter, rows(1), letter < '5' ? "one" : "other");
        // Times of files are as coarse as the clock of the kernel.
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
        if (letter >= '4') {
            CHECK_EQ(first_on_disk(params, '1', "one"), 1.0f);  // used, so it stays
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
    }
    CHECK_EQ(folder.files().size(), size_t{5});
    CHECK_EQ(first_on_disk(params, '0', "one"), -1.0f);
    CHECK_EQ(first_on_disk(params, '1', "one"), 1.0f);
    CHECK_EQ(first_on_disk(params, '9', "other"), 1.0f);
    // Larger than all of it: not written, nothing dropped for it.
    keep_once(params, 'a', rows(1, 5 * 122));
    CHECK_EQ(folder.files().size(), size_t{5});
}

TEST(nothing_else_in_the_folder_is_touched) {
    const Folder folder;
    const fs::path path = folder.path();
    fs::create_directories(path / "encoder");
    std::ofstream(path / "thesis.txt") << std::string(5000, 'x');
    std::ofstream(path / "encoder" / "notes.embedding") << std::string(5000, 'x');
    keep_once(on_disk(folder, 1000), 'a', rows(1));
    CHECK_EQ(folder.files().size(), size_t{3});
}

TEST(what_a_killed_writer_left_is_removed_after_a_while) {
    const Folder folder;
    const fs::path encoder = fs::path(folder.path()) / "encoder";
    fs::create_directories(encoder);
    const fs::path old = encoder / (hash('a') + ".1-0.unfinished");
    const fs::path fresh = encoder / (hash('b') + ".1-1.unfinished");
    std::ofstream(old) << "half";
    std::ofstream(fresh) << "half";
    fs::last_write_time(old, fs::file_time_type::clock::now() - std::chrono::hours(2));
    keep_once(on_disk(folder), 'c', rows(1));
    CHECK(!fs::exists(old));
    CHECK(fs::exists(fresh));
}

TEST(a_folder_that_cannot_be_written_warns_once_and_memory_works_on) {
    const Folder folder;
    std::ofstream(fs::path(folder.path())) << "a file, where the folder should be";
    std::vector<std::string> warnings;
    {
        EmbeddingCache cache({1000, folder.path(), 1 << 20, ""}, "encoder",
                             [&](const Error & error) { warnings.push_back(error.code() + " " + error.message()); });
        cache.keep(hash('a'), rows(1), Keep::disk);
        cache.keep(hash('b'), rows(2), Keep::disk);
        CHECK_EQ(first_of(cache, 'a'), 1.0f);
        CHECK_EQ(first_of(cache, 'b'), 2.0f);
    }
    CHECK_EQ(warnings.size(), size_t{1});
    CHECK(!warnings.empty() && warnings[0].find("CACHE_UNWRITABLE") == 0 &&
          warnings[0].find(folder.path()) != std::string::npos);
}

#ifndef _WIN32
TEST(a_write_that_fails_half_way_warns_once_and_leaves_nothing_behind) {
    // A limit for the size of files fails as a full disk does: some bytes are written, then none.
    rlimit before{};
    getrlimit(RLIMIT_FSIZE, &before);
    const auto ignored = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit low{200, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &low);
    const Folder folder;
    int warnings = 0;
    {
        EmbeddingCache cache({1000, folder.path(), 1 << 20, ""}, "encoder", [&](const Error &) { warnings++; });
        cache.keep(hash('a'), rows(1), Keep::disk);
        cache.keep(hash('b'), rows(1), Keep::disk);
        CHECK_EQ(first_of(cache, 'a'), 1.0f);
    }
    setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, ignored);
    CHECK_EQ(warnings, 1);
    CHECK_EQ(folder.files().size(), size_t{0});
}
#endif

TEST(names_that_are_no_hash_never_reach_the_disk) {
    const Folder folder;
    {
        EmbeddingCache cache(on_disk(folder), "encoder", no_warning);
        cache.keep("../../escape", rows(1), Keep::disk);
        cache.keep(std::string(64, 'A'), rows(1), Keep::disk);
        cache.keep("", rows(1), Keep::disk);
    }
    CHECK(!fs::exists(folder.path()));
}

TEST(writers_and_readers_side_by_side) {
    const Folder folder;
    const CacheParams params{2000, folder.path(), 20 * (88 + 400), ""};
    std::vector<std::thread> threads;
    // Two caches are two processes as far as the folder can tell.
    for (int process = 0; process < 2; process++) {
        threads.emplace_back([&] {
            EmbeddingCache cache(params, "encoder", no_warning);
            std::vector<std::thread> users;
            for (int user = 0; user < 2; user++) {
                users.emplace_back([&cache, user] {
                    for (int round = 0; round < 200; round++) {
                        const auto letter = static_cast<char>('a' + (round * 7 + user) % 6);
                        const float value = static_cast<float>(letter);
                        const auto found = cache.find(hash(letter), 100, Keep::disk);
                        if (found) {
                            CHECK_EQ(found->rows->front(), value);
                        } else {
                            cache.keep(hash(letter), rows(value), Keep::disk);
                        }
                    }
                });
            }
            for (auto & user : users) {
                user.join();
            }
        });
    }
    for (auto & thread : threads) {
        thread.join();
    }
    CHECK_EQ(folder.files().size(), size_t{6});
}

int main() {
    return check::run();
}
