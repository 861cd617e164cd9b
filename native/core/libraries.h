// The compute backends for a report: what is registered, and what the libraries in their folder say. Thread-safe.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace qvl {

struct Backend {
    std::string name;                   // "CPU", "CUDA", …
    std::vector<std::string> features;  // what it computes with, e.g. "AVX2"; empty where it does not tell
};

struct BackendLibrary {
    std::string file;          // name in the folder
    std::optional<int> score;  // how well it suits this processor, 0 not at all; missing where it has no preference
    std::string problem;       // why the system cannot load it; empty where it can
};

// The registered backends. Call after load_backends.
std::vector<Backend> list_backends();

// The libraries of backends in a folder, by name; each is opened and closed again, as loading does.
std::vector<BackendLibrary> inspect_libraries(const std::string & folder);

}  // namespace qvl
