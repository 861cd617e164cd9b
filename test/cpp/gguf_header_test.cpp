#include "gguf_header.h"

#include "check.h"

#include "log.h"

#include <cstring>
#include <filesystem>
#include <fstream>

using namespace qvl;

namespace {

namespace fs = std::filesystem;

constexpr uint32_t kUint32 = 4;
constexpr uint32_t kFloat32 = 6;
constexpr uint32_t kBool = 7;
constexpr uint32_t kString = 8;
constexpr uint32_t kArray = 9;

// Writes the bytes of a GGUF file, version 3.
class Writer {
  public:
    Writer(uint64_t tensors, uint64_t pairs) {
        bytes_ += "GGUF";
        put<uint32_t>(3);
        put<uint64_t>(tensors);
        put<uint64_t>(pairs);
    }

    template <typename T>
    Writer & put(T value) {
        char raw[sizeof(T)];
        std::memcpy(raw, &value, sizeof(T));
        bytes_.append(raw, sizeof(T));
        return *this;
    }
    Writer & string(const std::string & text) {
        put<uint64_t>(text.size());
        bytes_ += text;
        return *this;
    }
    Writer & key(const std::string & name, uint32_t type) { return string(name).put<uint32_t>(type); }
    Writer & tensor(const std::string & name, std::vector<int64_t> shape, uint64_t offset) {
        string(name).put<uint32_t>(static_cast<uint32_t>(shape.size()));
        for (const int64_t n : shape) {
            put<int64_t>(n);
        }
        return put<uint32_t>(0).put<uint64_t>(offset);  // F32
    }
    Writer & data(size_t n) {
        bytes_.resize((bytes_.size() + 31) / 32 * 32, '\0');
        bytes_.append(n, '\1');
        return *this;
    }
    const std::string & bytes() const { return bytes_; }

  private:
    std::string bytes_;
};

// A file that lives as long as this object.
class TemporaryFile {
  public:
    explicit TemporaryFile(const std::string & bytes)
        : path_((fs::temp_directory_path() / ("qwenvl-gguf-" + std::to_string(counter_++) + "-" +
                                              std::to_string(reinterpret_cast<uintptr_t>(this)) + ".gguf"))
                    .string()) {
        std::ofstream(path_, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    }
    ~TemporaryFile() { fs::remove(path_); }
    const std::string & path() const { return path_; }

  private:
    static inline int counter_ = 0;
    std::string path_;
};

std::string good_file() {
    return Writer(2, 4)
        .key("general.architecture", kString)
        .string("qwen2vl")
        .key("a.number", kUint32)
        .put<uint32_t>(4000000000u)
        .key("a.flag", kBool)
        .put<int8_t>(1)
        .key("a.list", kArray)
        .put<uint32_t>(kFloat32)
        .put<uint64_t>(2)
        .put<float>(0.5f)
        .put<float>(-1.0f)
        .tensor("first", {4, 2}, 0)
        .tensor("second", {3}, 32)
        .data(32 + 12)
        .bytes();
}

std::string code_of_file(const std::string & bytes) {
    const TemporaryFile file(bytes);
    return check::code_of([&] { read_gguf_header(file.path()); });
}

const GgufValue * value(const GgufHeader & header, const std::string & name) {
    for (const auto & [key, found] : header.metadata) {
        if (key == name) {
            return &found;
        }
    }
    return nullptr;
}

}  // namespace

TEST(metadata_and_tensors_are_read) {
    const TemporaryFile file(good_file());
    const GgufHeader header = read_gguf_header(file.path());
    CHECK_EQ(header.file_bytes, good_file().size());
    CHECK_EQ(header.metadata.size(), 4u);
    CHECK(*value(header, "general.architecture") == GgufValue(GgufScalar(std::string("qwen2vl"))));
    CHECK(*value(header, "a.number") == GgufValue(GgufScalar(4000000000.0)));
    CHECK(*value(header, "a.flag") == GgufValue(GgufScalar(true)));
    CHECK(*value(header, "a.list") == GgufValue(std::vector<GgufScalar>{0.5, -1.0}));
    CHECK_EQ(header.tensors.size(), 2u);
    CHECK_EQ(header.tensors[0].name, "first");
    CHECK_EQ(header.tensors[0].type, "f32");
    CHECK(header.tensors[0].shape == (std::vector<int64_t>{4, 2}));
    CHECK(header.tensors[1].shape == (std::vector<int64_t>{3}));
}

TEST(long_arrays_are_left_out) {
    Writer writer(0, 2);
    writer.key("tokens", kArray).put<uint32_t>(kString).put<uint64_t>(65);
    for (int i = 0; i < 65; i++) {
        writer.string("t");
    }
    writer.key("after", kBool).put<int8_t>(0);
    const TemporaryFile file(writer.bytes());
    const GgufHeader header = read_gguf_header(file.path());
    CHECK_EQ(header.metadata.size(), 1u);
    CHECK(value(header, "after") != nullptr);
}

// llama.cpp asserts that they are.
TEST(tokens_are_distinct) {
    const auto tokens = [](const std::string & last) {
        return Writer(0, 1)
            .key("tokenizer.ggml.tokens", kArray)
            .put<uint32_t>(kString)
            .put<uint64_t>(2)
            .string("a")
            .string(last)
            .bytes();
    };
    CHECK_EQ(code_of_file(tokens("b")), "");
    CHECK_EQ(code_of_file(tokens("a")), "GGUF_CORRUPT");
}

TEST(what_is_no_file_is_not_found) {
    CHECK_EQ(check::code_of([] { read_gguf_header("/does/not/exist.gguf"); }), "FILE_NOT_FOUND");
    CHECK_EQ(check::code_of([] { read_gguf_header(fs::temp_directory_path().string()); }), "FILE_NOT_FOUND");
    CHECK_EQ(check::code_of([] { read_gguf_header(""); }), "FILE_NOT_FOUND");
}

TEST(other_files_are_not_gguf) {
    CHECK_EQ(code_of_file(""), "NOT_GGUF");
    CHECK_EQ(code_of_file("GGU"), "NOT_GGUF");
    CHECK_EQ(code_of_file("a text file\n"), "NOT_GGUF");
}

// Whatever the cut, the file is refused, and by the header alone where the header is whole.
TEST(every_cut_is_noticed) {
    const std::string whole = good_file();
    const size_t header_end = whole.size() - 44;
    for (size_t size = 4; size < whole.size(); size++) {
        const std::string code = code_of_file(whole.substr(0, size));
        if (size >= header_end) {
            CHECK_EQ(code, "GGUF_TRUNCATED");
        } else {
            CHECK(code == "GGUF_CORRUPT" || code == "GGUF_TRUNCATED");
        }
    }
    CHECK_EQ(code_of_file(whole), "");
}

TEST(impossible_counts_and_lengths_are_refused) {
    CHECK_EQ(code_of_file(Writer(0, ~0ull).bytes()), "GGUF_CORRUPT");
    CHECK_EQ(code_of_file(Writer(~0ull, 0).bytes()), "GGUF_CORRUPT");
    CHECK_EQ(code_of_file(Writer(0, 1).put<uint64_t>(1ull << 60).bytes()), "GGUF_CORRUPT");  // length of a key
    CHECK_EQ(code_of_file(Writer(0, 1).key("k", kArray).put<uint32_t>(kUint32).put<uint64_t>(1ull << 60).bytes()),
             "GGUF_CORRUPT");
    CHECK_EQ(code_of_file(Writer(0, 1).key("k", 99).bytes()), "GGUF_CORRUPT");
    CHECK_EQ(code_of_file(Writer(1, 0).tensor("huge", {1ll << 40, 1ll << 40}, 0).data(32).bytes()), "GGUF_CORRUPT");
    CHECK_EQ(code_of_file(Writer(1, 0).tensor("empty", {0, 4}, 0).data(32).bytes()), "GGUF_CORRUPT");
    CHECK_EQ(code_of_file(Writer(1, 0).tensor("negative", {-4}, 0).data(32).bytes()), "GGUF_CORRUPT");
}

int main() {
    capture_logs();
    return check::run();
}
