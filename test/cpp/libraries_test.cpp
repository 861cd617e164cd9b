#include "libraries.h"

#include "backends.h"
#include "check.h"

#include <filesystem>
#include <fstream>

using qvl::inspect_libraries;

namespace {

// A folder that goes with the test.
struct Folder {
    std::filesystem::path path = std::filesystem::temp_directory_path() / "qvl-libraries-test";
    Folder() { std::filesystem::create_directories(path); }
    ~Folder() { std::filesystem::remove_all(path); }
    void write(const char * name) const { std::ofstream(path / name) << "not a library"; }
};

#ifdef _WIN32
constexpr const char * kBroken = "ggml-cuda.dll";
#else
constexpr const char * kBroken = "libggml-cuda.so";
#endif

}  // namespace

TEST(the_processor_is_registered_with_its_features) {
    qvl::load_backends("");
    const auto backends = qvl::list_backends();
    CHECK(!backends.empty());
    CHECK_EQ(backends.back().name, std::string("CPU"));
#if defined(__x86_64__)
    CHECK(!backends.back().features.empty());
#endif
}

TEST(a_library_that_cannot_be_loaded_tells_why) {
    const Folder folder;
    folder.write(kBroken);
    folder.write("notes.txt");
    folder.write("libggml-base.so");
    const auto libraries = inspect_libraries(folder.path.u8string());
    CHECK_EQ(libraries.size(), size_t{1});
    CHECK_EQ(libraries[0].file, std::string(kBroken));
    CHECK(!libraries[0].problem.empty());
    CHECK(!libraries[0].score.has_value());
}

TEST(a_folder_that_is_not_there_has_none) {
    CHECK(inspect_libraries("/no/such/folder").empty());
}

int main() {
    return check::run();
}
