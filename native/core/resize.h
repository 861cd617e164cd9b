// The reference's picture scaling: antialiased bicubic on 8-bit RGB, bit for bit as Pillow up to 12.1 does it, or
// torchvision: width first, then height. (Pillow 13 takes height first where that is faster.) Thread-safe: no state.
#pragma once

#include "resize_dot.h"

#include <cstdint>

namespace qvl {

// Fixed point of the weights: Pillow's 22 bits, or what torchvision's 16 bits have room for, axis by axis. The two differ
// by a level now and then.
enum class Weights { kInt32, kInt16 };

// Scales `src` (interleaved RGB, `src_width * src_height * 3` bytes) to `dst` (likewise). All sides are at least 1.
// The work is shared by `threads` threads, the caller's included; the result depends neither on their number nor on
// `byte_dots`, which asks for the processor's instruction.
// Throws std::bad_alloc only.
void resize_bicubic(const uint8_t * src, int src_width, int src_height, uint8_t * dst, int dst_width, int dst_height,
                    int threads = 1, Weights precision = Weights::kInt32, bool byte_dots = has_byte_dots());

}  // namespace qvl
