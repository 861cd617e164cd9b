// Bicubic scaling of a video's frame.
#pragma once

#include <cstdint>

namespace qvl {

// As the reference scales frames: torchvision on float values, antialiased, rounded to bytes once at the end. (A picture
// goes through Pillow's fixed-point scheme instead, see resize.h: the two differ by one level here and there.)
// RGB rows without gaps. Sizes are at least 1.
void resize_frame(const uint8_t * src, int src_width, int src_height, uint8_t * dst, int dst_width, int dst_height);

}  // namespace qvl
