// Attention passes over cells that a query may not see; what it computes is what it computes without them.
#include "check.h"

#include "backends.h"
#include "ggml-cpp.h"
#include "llama.h"

#include <cmath>
#include <filesystem>
#include <limits>
#include <vector>

namespace {

constexpr int64_t kHead = 64;
constexpr int64_t kHeads = 2;

using Cells = std::vector<int64_t>;

// Cells that are seen of `count`: those of each 64 for which `seen` has a bit.
Cells cells_of(int64_t count, const std::vector<bool> & seen) {
    Cells cells;
    for (int64_t i = 0; i < count; i++) {
        if (seen[static_cast<size_t>(i / 64)]) {
            cells.push_back(i);
        }
    }
    return cells;
}

float wave(int64_t cell, int64_t i, float frequency) {
    return std::sin(frequency * static_cast<float>(cell * kHead + i));
}

// Of `queries` rows on `count` cells, of which `seen` are seen and hold what the first cells hold without the others.
std::vector<float> attention(int64_t queries, int64_t count, const Cells & seen) {
    const ggml_context_ptr context(ggml_init({16 * ggml_tensor_overhead() + ggml_graph_overhead(), nullptr, true}));
    ggml_tensor * q = ggml_new_tensor_3d(context.get(), GGML_TYPE_F32, kHead, queries, kHeads);
    ggml_tensor * k = ggml_new_tensor_3d(context.get(), GGML_TYPE_F16, kHead, count, kHeads);
    ggml_tensor * v = ggml_new_tensor_3d(context.get(), GGML_TYPE_F16, kHead, count, kHeads);
    ggml_tensor * mask = ggml_new_tensor_2d(context.get(), GGML_TYPE_F16, count, queries);
    ggml_tensor * output = ggml_flash_attn_ext(context.get(), q, k, v, mask, 0.125f, 0, 0);
    ggml_cgraph * graph = ggml_new_graph(context.get());
    ggml_build_forward_expand(graph, output);
    const ggml_backend_ptr backend(ggml_backend_init_by_type(GGML_BACKEND_DEVICE_TYPE_CPU, nullptr));
    const ggml_backend_buffer_ptr buffer(ggml_backend_alloc_ctx_tensors(context.get(), backend.get()));

    std::vector<ggml_fp16_t> keys(static_cast<size_t>(kHead * count * kHeads), ggml_fp32_to_fp16(3.0f));
    auto values = keys;
    std::vector<ggml_fp16_t> masks(static_cast<size_t>(count * queries), ggml_fp32_to_fp16(-INFINITY));
    for (size_t place = 0; place < seen.size(); place++) {
        for (int64_t head = 0; head < kHeads; head++) {
            for (int64_t i = 0; i < kHead; i++) {
                const auto at = static_cast<size_t>((head * count + seen[place]) * kHead + i);
                keys[at] = ggml_fp32_to_fp16(wave(static_cast<int64_t>(place), i, 0.3f));
                values[at] = ggml_fp32_to_fp16(wave(static_cast<int64_t>(place), i, 0.7f));
            }
        }
        for (int64_t query = 0; query < queries; query++) {
            masks[static_cast<size_t>(query * count + seen[place])] = ggml_fp32_to_fp16(0);
        }
    }
    std::vector<float> rows(static_cast<size_t>(kHead * queries * kHeads));
    for (size_t i = 0; i < rows.size(); i++) {
        rows[i] = wave(0, static_cast<int64_t>(i), 0.9f);
    }
    ggml_backend_tensor_set(q, rows.data(), 0, ggml_nbytes(q));
    ggml_backend_tensor_set(k, keys.data(), 0, ggml_nbytes(k));
    ggml_backend_tensor_set(v, values.data(), 0, ggml_nbytes(v));
    ggml_backend_tensor_set(mask, masks.data(), 0, ggml_nbytes(mask));
    CHECK(ggml_backend_graph_compute(backend.get(), graph) == GGML_STATUS_SUCCESS);
    std::vector<float> result(rows.size());
    ggml_backend_tensor_get(output, result.data(), 0, ggml_nbytes(output));
    return result;
}

void check_unseen_cells_change_nothing(int64_t queries) {
    const std::vector<float> alone = attention(queries, 192, cells_of(192, {true, true, true}));
    // Fewer than 512: beyond, threads share the cells of one query, and sums come in another order.
    for (const std::vector<bool> & seen : {std::vector<bool>{false, true, true, true},
                                           {true, false, true, false, false, false, true},
                                           {true, true, false, false, false, true}}) {
        const auto count = static_cast<int64_t>(64 * seen.size());
        CHECK(attention(queries, count, cells_of(count, seen)) == alone);
    }
}

}  // namespace

TEST(a_query_that_sees_some_cells_alone) {
    qvl::load_backends(std::filesystem::current_path().string());
    check_unseen_cells_change_nothing(1);
}

TEST(a_few_queries_that_see_some_cells_alone) {
    check_unseen_cells_change_nothing(8);
}

TEST(a_prompt_that_sees_some_cells_alone) {
    check_unseen_cells_change_nothing(128);
}

TEST(a_cell_between_unseen_ones_is_seen) {
    for (const int64_t cell : {0, 1, 32, 33, 34, 65, 255, 256, 257, 300, 511}) {
        const std::vector<float> alone = attention(1, 64, {5});
        CHECK(attention(1, 512, {cell}) == alone);
    }
}

int main() {
    return check::run();
}
