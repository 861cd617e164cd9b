// The weights of the vision encoder in the type that this CPU multiplies fastest, where that changes none of them.
//
// CPUs with AVX512-BF16 multiply BF16 matrices about twice as fast as F16 ones. Qwen's checkpoints are BF16: an F16 file
// made of one holds no number that BF16 could not hold too.
#pragma once

#include "mtmd.h"

#include <cstddef>
#include <cstdint>

// Added to mtmd by our edits (native/llama.cpp.json). Null without a vision encoder.
extern "C" MTMD_API ggml_context * mtmd_get_vision_weights(const mtmd_context * ctx);

namespace qvl {

// True if the CPU has instructions that multiply BF16 and none that multiply F16.
bool cpu_prefers_bf16();

// Turns every F16 matrix in the memory of the CPU into BF16 in place, if all its numbers stay what they are. Returns how
// many. Other matrices, and everything that is not multiplied, remain.
size_t matrices_to_bf16(ggml_context * weights);

// The same for `n` numbers: false, and nothing done, if BF16 has not all of them.
bool to_bf16(uint16_t * values, size_t n);

// Type that most bytes of the matrices have, as ggml names it.
const char * main_type(ggml_context * weights);

}  // namespace qvl
