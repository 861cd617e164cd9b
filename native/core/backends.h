// Process-wide, once: logs, crash report, ggml backends. Thread-safe.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace qvl {

struct Device {
    std::string name;
    std::string description;
    std::string kind;  // "cpu", "gpu", "igpu", "accelerator"
    size_t memory_free;
    size_t memory_total;
};

// Loads the backends from `folder` (absolute; unused in a static build) and initialises llama.cpp. The first call
// decides; later calls return at once. Never searches the working directory. Throws Error BACKEND_NOT_FOUND.
void load_backends(const std::string & folder);

// The devices that were found. Call after load_backends.
std::vector<Device> list_devices();

// Where a model with so many layers on a GPU is computed: a GPU if there is one and it is wanted, else the CPU.
Device compute_device(int gpu_layers);

// Cores that this process may use, without hyper-threads: what matrix products scale with. At least 1.
int usable_cores();

}  // namespace qvl
