// LoRA adapters: small changes to a model's weights, which requests choose and scale.
#pragma once

#include "llama.h"

#include <cstdint>
#include <string>
#include <vector>

namespace qvl {

// An adapter as part of `model`, which frees it. The file is checked before the loader sees it. Throws Error
// FILE_NOT_FOUND, NOT_GGUF, GGUF_CORRUPT, GGUF_TRUNCATED, or UNSUPPORTED_MODEL for what is no LoRA adapter of this model.
llama_adapter_lora * load_adapter(llama_model * model, const std::string & path);

// Tells sets of scales apart, one scale an adapter; 0 if none changes anything.
uint64_t adapters_identity(const std::vector<float> & scales);

}  // namespace qvl
