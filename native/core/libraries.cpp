#include "libraries.h"

#include "ggml-backend.h"

#include <algorithm>
#include <filesystem>
#include <memory>

#ifdef _WIN32
#    define WIN32_LEAN_AND_MEAN
#    define NOMINMAX
#    include <windows.h>
#else
#    include <dlfcn.h>
#endif

namespace qvl {

namespace {

using ScoreFunction = int();

#ifdef _WIN32
constexpr const char * kPrefix = "ggml-";
constexpr const char * kEnding = ".dll";

struct Closer {
    void operator()(HMODULE handle) const { FreeLibrary(handle); }
};
using Library = std::unique_ptr<std::remove_pointer_t<HMODULE>, Closer>;

Library open_library(const std::filesystem::path & path) {
    return Library(LoadLibraryW(path.wstring().c_str()));
}

std::string open_problem() {
    return "error " + std::to_string(GetLastError());
}

void * symbol_of(const Library & library, const char * name) {
    return reinterpret_cast<void *>(GetProcAddress(library.get(), name));
}
#else
constexpr const char * kPrefix = "libggml-";
constexpr const char * kEnding = ".so";

struct Closer {
    void operator()(void * handle) const { dlclose(handle); }
};
using Library = std::unique_ptr<void, Closer>;

Library open_library(const std::filesystem::path & path) {
    return Library(dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL));
}

std::string open_problem() {
    const char * text = dlerror();
    return text == nullptr ? "unknown" : text;
}

void * symbol_of(const Library & library, const char * name) {
    return dlsym(library.get(), name);
}
#endif

BackendLibrary inspect(const std::filesystem::path & path) {
    BackendLibrary found{path.filename().u8string(), std::nullopt, ""};
    const Library library = open_library(path);
    if (!library) {
        found.problem = open_problem();
    } else if (void * score = symbol_of(library, "ggml_backend_score")) {
        found.score = reinterpret_cast<ScoreFunction *>(score)();
    }
    return found;
}

bool is_backend(const std::string & name) {
    // Not ggml's own core, which every backend needs.
    return name.rfind(kPrefix, 0) == 0 && name.rfind(kPrefix + std::string("base"), 0) != 0 &&
           std::filesystem::u8path(name).extension() == kEnding;
}

}  // namespace

std::vector<Backend> list_backends() {
    std::vector<Backend> backends;
    for (size_t i = 0; i < ggml_backend_reg_count(); i++) {
        ggml_backend_reg_t reg = ggml_backend_reg_get(i);
        Backend backend{ggml_backend_reg_name(reg), {}};
        auto * features = reinterpret_cast<ggml_backend_get_features_t>(
            ggml_backend_reg_get_proc_address(reg, "ggml_backend_get_features"));
        for (const ggml_backend_feature * feature = features ? features(reg) : nullptr; feature && feature->name;
             feature++) {
            const std::string value = feature->value;
            backend.features.push_back(value == "1" ? feature->name : feature->name + (" " + value));
        }
        backends.push_back(std::move(backend));
    }
    return backends;
}

std::vector<BackendLibrary> inspect_libraries(const std::string & folder) {
    std::vector<BackendLibrary> libraries;
    std::error_code ignored;
    for (const auto & entry : std::filesystem::directory_iterator(std::filesystem::u8path(folder), ignored)) {
        if (is_backend(entry.path().filename().u8string())) {
            libraries.push_back(inspect(entry.path()));
        }
    }
    std::sort(libraries.begin(), libraries.end(), [](const auto & a, const auto & b) { return a.file < b.file; });
    return libraries;
}

}  // namespace qvl
