#include "backends.h"

#include "error.h"
#include "ggml-backend.h"
#include "ggml.h"
#include "llama.h"
#include "log.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <mutex>
#include <set>
#include <thread>

#if defined(__linux__)
#    include <sched.h>
#endif

namespace qvl {

namespace {

const char * kind_of(enum ggml_backend_dev_type type) {
    switch (type) {
        case GGML_BACKEND_DEVICE_TYPE_CPU:
            return "cpu";
        case GGML_BACKEND_DEVICE_TYPE_GPU:
            return "gpu";
        case GGML_BACKEND_DEVICE_TYPE_IGPU:
            return "igpu";
        default:
            return "accelerator";
    }
}

void initialise(const std::string & folder) {
    capture_logs();
    // ggml_abort ends the process whatever we do: say what happened instead of forking a debugger (it can hang).
    ggml_set_abort_callback([](const char * message) {
        const std::string log = last_log();
        std::fprintf(stderr, "qwenvl-native: fatal: %s\n%s%s", message, log.c_str(), log.empty() ? "" : "\n");
    });
#ifdef QWENVL_DYNAMIC_BACKENDS
    LogTail tail;
    if (ggml_backend_reg_count() == 0) {  // else another copy of this version has loaded the same libraries
        ggml_backend_load_all_from_path(folder.c_str());
    }
    if (ggml_backend_reg_count() == 0) {
        // Going on would make llama.cpp search the working directory for libraries.
        throw Error("BACKEND_NOT_FOUND",
                    "No compute backend could be loaded from '" + folder +
                        "'. Reinstall the package, or build it for this machine with `npx qwenvl-native build`.",
                    tail.text());
    }
#else
    (void) folder;
#endif
    llama_backend_init();
}

}  // namespace

void load_backends(const std::string & folder) {
    static std::once_flag once;
    std::call_once(once, initialise, folder);
}

std::vector<Device> list_devices() {
    std::vector<Device> devices;
    for (size_t i = 0; i < ggml_backend_dev_count(); i++) {
        ggml_backend_dev_t dev = ggml_backend_dev_get(i);
        Device device{ggml_backend_dev_name(dev), ggml_backend_dev_description(dev),
                      kind_of(ggml_backend_dev_type(dev)), 0, 0};
        ggml_backend_dev_memory(dev, &device.memory_free, &device.memory_total);
        devices.push_back(std::move(device));
    }
    return devices;
}

Device compute_device(int gpu_layers) {
    Device best{"CPU", "CPU", "cpu", 0, 0};
    if (gpu_layers == 0) {
        return best;
    }
    for (auto & device : list_devices()) {
        if (device.kind == "gpu") {
            return device;
        }
        if (device.kind == "igpu" && best.kind == "cpu") {
            best = std::move(device);
        }
    }
    return best;
}

int usable_cores() {
    const int logical = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
#if defined(__linux__)
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) {
        return logical;
    }
    std::set<std::string> cores;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed)) {
            continue;
        }
        std::ifstream siblings("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings");
        std::string mask;
        if (!std::getline(siblings, mask)) {
            return std::min(logical, CPU_COUNT(&allowed));
        }
        cores.insert(mask);
    }
    return std::max(1, static_cast<int>(cores.size()));
#else
    return logical;
#endif
}

}  // namespace qvl
