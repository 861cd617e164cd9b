// What was computed of a sequence comes back from a file as it was, or not at all.
#include "state_file.h"

#include "check.h"

#include <filesystem>
#include <fstream>

using namespace qvl;
namespace fs = std::filesystem;

namespace {

const std::string kBefore = "the chat";
const auto never = [] { return false; };

StoredSequence some_sequence() {
    StoredSequence sequence;
    sequence.items = {{5, "", 0, 1, 0, 0, 7}, {-1, "a picture", 1, 16, 0, 0, 7}, {9, "", 5, 1, 0, 0, 7}};
    sequence.batch_ends = {true, false, true};
    sequence.copies = {{2, true, std::make_shared<const std::vector<uint8_t>>(1000, uint8_t{3})}};
    sequence.state.assign(6 << 20, 42);
    return sequence;
}

// A file with something in front. Gone when the test ends.
class File {
  public:
    File() { std::ofstream(path(), std::ios::binary) << kBefore; }
    ~File() { fs::remove(path()); }
    std::string path() const { return (fs::temp_directory_path() / "qvl-state-test").u8string(); }
    void flip(uint64_t at) const {
        std::fstream file(path(), std::ios::binary | std::ios::in | std::ios::out);
        file.seekg(static_cast<std::streamoff>(at));
        const char was = static_cast<char>(file.get());
        file.seekp(static_cast<std::streamoff>(at));
        file.put(static_cast<char>(was ^ 1));
    }
    bool whole(const std::string & identity = "model") const {
        return read_state(fs::u8path(path()), kBefore.size(), identity).has_value();
    }
    // The bytes that were written.
    uint64_t append(const StoredSequence & sequence) const {
        CHECK(!append_state(fs::u8path(path()), "model", sequence, never));
        return state_bytes("model", sequence);
    }
};

}  // namespace

TEST(a_sequence_comes_back_as_it_was) {
    const File file;
    const StoredSequence written = some_sequence();
    const uint64_t size = file.append(written);
    CHECK_EQ(fs::file_size(file.path()), kBefore.size() + size);
    const auto read = read_state(fs::u8path(file.path()), kBefore.size(), "model");
    CHECK(read.has_value());
    CHECK_EQ(common_prefix(read->items, written.items), written.items.size());
    CHECK(read->batch_ends == written.batch_ends);
    CHECK_EQ(read->copies.size(), size_t{1});
    CHECK_EQ(read->copies[0].items, size_t{2});
    CHECK(read->copies[0].lasting);
    CHECK(*read->copies[0].state == *written.copies[0].state);
    CHECK(read->state == written.state);
}

TEST(of_another_model_it_is_not_there) {
    const File file;
    file.append(some_sequence());
    CHECK(file.whole());
    CHECK(!file.whole("another"));
    CHECK(!file.whole(""));
}

TEST(a_changed_bit_anywhere_is_found) {
    const File file;
    const uint64_t size = file.append(some_sequence());
    for (uint64_t at = 0; at < 300; at++) {  // header and index
        file.flip(kBefore.size() + at);
        CHECK(!file.whole());
        file.flip(kBefore.size() + at);
    }
    for (const uint64_t at : {size / 2, size - 1}) {
        file.flip(kBefore.size() + at);
        CHECK(!file.whole());
        file.flip(kBefore.size() + at);
    }
    CHECK(file.whole());
}

TEST(a_file_that_is_too_short_or_too_long_is_found) {
    const File file;
    const uint64_t size = file.append(some_sequence());
    std::ofstream(file.path(), std::ios::binary | std::ios::app) << "x";
    CHECK(!file.whole());
    for (const uint64_t left : {size - 1, size / 2, uint64_t{100}, uint64_t{31}, uint64_t{0}}) {
        fs::resize_file(file.path(), kBefore.size() + left);
        CHECK(!file.whole());
    }
    fs::remove(file.path());
    CHECK(!file.whole());
}

TEST(a_place_that_cannot_be_written_says_so) {
    const auto fails = [](const char * path) { return bool(append_state(path, "model", some_sequence(), never)); };
    CHECK(fails("/no/such/folder/file"));
    if (fs::exists("/dev/full")) {
        CHECK(fails("/dev/full"));
    }
}

int main() {
    return check::run();
}
