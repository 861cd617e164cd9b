#include "refusal.h"

namespace qvl {

Error refusal(const std::string & path, const std::string & otherwise, const std::string & log) {
    if (log.find("unable to allocate") != std::string::npos) {
        return {"OUT_OF_MEMORY",
                "There is not enough memory for the weights in '" + path +
                    "'. Use a smaller quantisation or, where it is the GPU's memory, lower `gpuLayers`.",
                log};
    }
    return {"MODEL_LOAD_FAILED", "llama.cpp refused '" + path + "'. The details name the reason; " + otherwise, log};
}

}  // namespace qvl
