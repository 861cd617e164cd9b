// Upstream's own helper gives a picture the positions that lib/prompt/mrope.ts computes: (0, row, column) from the
// position where the picture starts, and the text goes on after the largest of them.
#include "check.h"

#include "backends.h"
#include "model.h"

#include "mtmd.h"

#include <algorithm>
#include <filesystem>
#include <vector>

using namespace qvl;

namespace {

const std::string kFixtures = (std::filesystem::path(__FILE__).parent_path() / "../fixtures").string();

void check_positions(const std::string & generation, uint32_t factor) {
    load_backends("");
    const std::string folder = kFixtures + "/" + generation;
    const EngineParams params{folder + "/model-f32.gguf", "", 256, 64, 1, 0, "off", "f32", false};
    const Model model(params, [](float) { return true; });
    mtmd_context_params options = mtmd_context_params_default();
    options.use_gpu = false;
    options.warmup = false;
    options.image_min_tokens = 1;
    options.image_max_tokens = 4096;
    const mtmd::context_ptr ctx(mtmd_init_from_file((folder + "/mmproj-f32.gguf").c_str(), model.get(), options));
    CHECK(ctx != nullptr);

    for (const auto & [columns, rows] :
         std::vector<std::pair<uint32_t, uint32_t>>{{2, 2}, {5, 3}, {3, 7}, {1, 4}, {9, 1}}) {
        const std::vector<unsigned char> pixels(columns * rows * factor * factor * 3, 7);
        const mtmd::bitmap bitmap(columns * factor, rows * factor, pixels.data());
        const mtmd_input_part part{nullptr, bitmap.ptr.get()};
        const mtmd_input_part * parts[] = {&part};
        const mtmd::input_chunks chunks(mtmd_input_chunks_init());
        CHECK_EQ(mtmd_tokenize_from_parts(ctx.get(), chunks.ptr.get(), parts, 1, false), 0);
        const mtmd_image_tokens * image = nullptr;
        for (size_t i = 0; i < chunks.size(); i++) {
            if (mtmd_input_chunk_get_type(chunks[i]) == MTMD_INPUT_CHUNK_TYPE_IMAGE) {
                image = mtmd_input_chunk_get_tokens_image(chunks[i]);
                CHECK_EQ(mtmd_input_chunk_get_n_tokens(chunks[i]), size_t{columns} * rows);
                CHECK_EQ(mtmd_input_chunk_get_n_pos(chunks[i]), static_cast<llama_pos>(std::max(columns, rows)));
            }
        }
        CHECK(image != nullptr);
        const llama_pos start = 11;
        for (uint32_t i = 0; i < columns * rows; i++) {
            const mtmd_decoder_pos position = mtmd_image_tokens_get_decoder_pos(image, start, i);
            CHECK_EQ(position.t, 11u);
            CHECK_EQ(position.y, 11u + i / columns);
            CHECK_EQ(position.x, 11u + i % columns);
        }
    }
}

}  // namespace

TEST(qwen2vl) {
    check_positions("qwen2vl", 28);
}

TEST(qwen25vl) {
    check_positions("qwen2.5vl", 28);
}

TEST(qwen3vl) {
    check_positions("qwen3vl", 32);
}

int main() {
    return check::run();
}
