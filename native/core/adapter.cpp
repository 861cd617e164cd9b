#include "adapter.h"

#include "error.h"
#include "gguf_header.h"
#include "log.h"

#include "ggml-cpp.h"
#include "gguf.h"

#include <algorithm>
#include <cstring>

namespace qvl {

namespace {

Error no_adapter(const std::string & path, const std::string & why, const std::string & detail = "") {
    return Error("UNSUPPORTED_MODEL",
                 "'" + path + "' is no LoRA adapter of this model: " + why +
                     " Convert it with convert_lora_to_gguf.py of llama.cpp, for the checkpoint that the model was "
                     "converted from.",
                 detail);
}

// The loader ends the process when one of these has another type.
void check_types(const std::string & path) {
    const gguf_context_ptr header(gguf_init_from_file(path.c_str(), {/*no_alloc*/ true, /*ctx*/ nullptr}));
    if (!header) {
        throw Error("GGUF_CORRUPT", "'" + path + "' is damaged. Convert or download it again.");
    }
    const auto has = [&](const char * key, gguf_type type) {
        const int64_t id = gguf_find_key(header.get(), key);
        return id >= 0 && gguf_get_kv_type(header.get(), id) == type;
    };
    if (!has("general.type", GGUF_TYPE_STRING) || !has("general.architecture", GGUF_TYPE_STRING) ||
        !has("adapter.type", GGUF_TYPE_STRING) || !has("adapter.lora.alpha", GGUF_TYPE_FLOAT32)) {
        throw no_adapter(path, "its header lacks what an adapter has.");
    }
}

}  // namespace

llama_adapter_lora * load_adapter(llama_model * model, const std::string & path) {
    const GgufHeader header = read_gguf_header(path);
    check_types(path);
    const bool matrices = std::all_of(header.tensors.begin(), header.tensors.end(), [](const GgufTensor & tensor) {
        return tensor.shape.size() <= 2 && (tensor.type == "f32" || tensor.type == "f16" || tensor.type == "bf16");
    });
    if (!matrices) {
        throw no_adapter(path, "its tensors are not all matrices of F32, F16 or BF16.");
    }
    LogTail tail;
    llama_adapter_lora * adapter = llama_adapter_lora_init(model, path.c_str());
    if (adapter == nullptr) {
        throw no_adapter(path, "it was made for other weights.", tail.text());
    }
    if (llama_adapter_get_alora_n_invocation_tokens(adapter) > 0) {
        throw no_adapter(path, "it is an activated one (aLoRA), which is not supported.");
    }
    return adapter;
}

uint64_t adapters_identity(const std::vector<float> & scales) {
    if (std::all_of(scales.begin(), scales.end(), [](float scale) { return scale == 0; })) {
        return 0;
    }
    uint64_t hash = 14695981039346656037ULL;  // FNV-1a
    for (const float scale : scales) {
        uint32_t bits = 0;
        std::memcpy(&bits, &scale, sizeof(bits));
        hash = (hash ^ bits) * 1099511628211ULL;
    }
    return hash;
}

}  // namespace qvl
