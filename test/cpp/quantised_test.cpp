// Quantised weights of the kinds that are multiplied by code of their own: on processors with matrix units (AMX), in other
// layouts than the file's, several rows at a time.
#include "check.h"

#include "backends.h"
#include "ggml-cpp.h"
#include "llama.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

const fs::path kModel = fs::path(__FILE__).parent_path() / "../fixtures/qwen2vl/model-f32.gguf";

std::vector<float> logits_of(const fs::path & path) {
    llama_model_params model_params = llama_model_default_params();
    model_params.n_gpu_layers = 0;
    const std::unique_ptr<llama_model, decltype(&llama_model_free)> model(
        llama_model_load_from_file(path.string().c_str(), model_params), llama_model_free);
    CHECK(model != nullptr);
    llama_context_params params = llama_context_default_params();
    params.n_ctx = 256;
    params.n_threads = params.n_threads_batch = 1;
    const std::unique_ptr<llama_context, decltype(&llama_free)> context(llama_init_from_model(model.get(), params),
                                                                        llama_free);
    CHECK(context != nullptr);
    std::vector<llama_token> tokens(64, 65);
    CHECK(llama_decode(context.get(), llama_batch_get_one(tokens.data(), static_cast<int32_t>(tokens.size()))) == 0);
    const float * logits = llama_get_logits_ith(context.get(), -1);
    return {logits, logits + llama_vocab_n_tokens(llama_model_get_vocab(model.get()))};
}

double cosine(const std::vector<float> & a, const std::vector<float> & b) {
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < a.size(); i++) {
        ab += double(a[i]) * b[i];
        aa += double(a[i]) * a[i];
        bb += double(b[i]) * b[i];
    }
    return ab / std::sqrt(aa * bb);
}

constexpr int64_t kWidth = 512;
constexpr int64_t kOutputs = 56;  // three times sixteen, and eight

std::vector<float> waves(int64_t count, float frequency) {
    std::vector<float> values(static_cast<size_t>(count));
    for (size_t i = 0; i < values.size(); i++) {
        values[i] = std::sin(frequency * static_cast<float>(i)) + 0.1f * static_cast<float>(i % 5);
    }
    return values;
}

// Rows that Q8_0 and Q8_K hold exactly, however they round: whole numbers up to 127 in each block, times a power of two.
std::vector<float> inputs(int64_t rows) {
    std::vector<float> values = waves(kWidth * rows, 0.3f);
    for (size_t i = 0; i < values.size(); i++) {
        const float whole = i % 32 == 0 ? 127.0f : std::round(100.0f * values[i]);
        values[i] = std::ldexp(std::min(whole, 127.0f), -static_cast<int>(5 + i / 256 % 3));
    }
    return values;
}

// Where the weights of a model lie: in the layout that is multiplied fastest, if the processor has one.
ggml_backend_buffer_type_t layout(bool fastest) {
    ggml_backend_dev_t cpu = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    auto * extra = reinterpret_cast<ggml_backend_dev_get_extra_bufts_t>(
        ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(cpu), "ggml_backend_dev_get_extra_bufts"));
    ggml_backend_buffer_type_t * found = fastest && extra != nullptr ? extra(cpu) : nullptr;
    return found != nullptr && *found != nullptr ? *found : ggml_backend_dev_buffer_type(cpu);
}

// The first `rows` of some rows, times weights of a type: [rows × kOutputs]. In several planes they come again and again.
std::vector<float> product(ggml_type type, bool fastest, int64_t rows, int64_t planes = 1) {
    const ggml_init_params no_data{16 * ggml_tensor_overhead() + ggml_graph_overhead(), nullptr, true};
    const ggml_context_ptr weights(ggml_init(no_data));
    const ggml_context_ptr rest(ggml_init(no_data));
    ggml_tensor * weight = ggml_new_tensor_2d(weights.get(), type, kWidth, kOutputs);
    ggml_tensor * input = ggml_new_tensor_3d(rest.get(), GGML_TYPE_F32, kWidth, rows, planes);
    ggml_tensor * output = ggml_mul_mat(rest.get(), weight, input);
    ggml_cgraph * graph = ggml_new_graph(rest.get());
    ggml_build_forward_expand(graph, output);
    const ggml_backend_ptr backend(ggml_backend_init_by_type(GGML_BACKEND_DEVICE_TYPE_CPU, nullptr));
    const ggml_backend_buffer_ptr first(ggml_backend_alloc_ctx_tensors_from_buft(weights.get(), layout(fastest)));
    if (fastest && weight->extra == nullptr) {
        return product(type, false, rows, planes);  // it has none for this type
    }
    const ggml_backend_buffer_ptr second(ggml_backend_alloc_ctx_tensors(rest.get(), backend.get()));

    const auto exact = waves(kWidth * kOutputs, 0.7f);
    std::vector<uint8_t> packed(ggml_nbytes(weight));
    ggml_quantize_chunk(type, exact.data(), packed.data(), 0, kOutputs, kWidth, nullptr);
    ggml_backend_tensor_set(weight, packed.data(), 0, packed.size());
    for (int64_t plane = 0; plane < planes; plane++) {
        ggml_backend_tensor_set(input, inputs(rows).data(), static_cast<size_t>(plane) * input->nb[2], input->nb[2]);
    }
    CHECK(ggml_backend_graph_compute(backend.get(), graph) == GGML_STATUS_SUCCESS);
    std::vector<float> result(static_cast<size_t>(rows * kOutputs));
    ggml_backend_tensor_get(output, result.data(), 0, result.size() * sizeof(float));
    return result;
}

// Whether four-bit weights are multiplied in the layout that x86 processors have for them: by eight outputs.
bool has_x86_layout() {
    const std::string name = ggml_backend_buft_name(layout(true));
#if defined(__x86_64__) || defined(_M_X64)
    return name == "CPU_REPACK";
#else
    return false;
#endif
}

// Products of a row as they are defined: sums of whole numbers over blocks of 32, scaled, added up in single precision.
std::vector<float> product_of_one_q4_0(const float * row) {
    struct Weights {
        ggml_fp16_t scale;
        uint8_t pairs[16];
    };
    struct Values {
        ggml_fp16_t scale;
        int8_t values[32];
    };
    constexpr int64_t kBlocks = kWidth / 32;
    const auto exact = waves(kWidth * kOutputs, 0.7f);
    std::vector<Weights> weights(static_cast<size_t>(kBlocks * kOutputs));
    std::vector<Values> input(static_cast<size_t>(kBlocks));
    ggml_quantize_chunk(GGML_TYPE_Q4_0, exact.data(), weights.data(), 0, kOutputs, kWidth, nullptr);
    ggml_quantize_chunk(GGML_TYPE_Q8_0, row, input.data(), 0, 1, kWidth, nullptr);
    std::vector<float> result;
    for (int64_t output = 0; output < kOutputs; output++) {
        float sum = 0;
        for (int64_t block = 0; block < kBlocks; block++) {
            const Weights & w = weights[static_cast<size_t>(output * kBlocks + block)];
            const Values & x = input[static_cast<size_t>(block)];
            int whole = 0;
            for (int i = 0; i < 16; i++) {
                whole += ((w.pairs[i] & 15) - 8) * x.values[i] + ((w.pairs[i] >> 4) - 8) * x.values[i + 16];
            }
            const float scale = ggml_fp16_to_fp32(w.scale) * ggml_fp16_to_fp32(x.scale);
            sum = std::fma(static_cast<float>(whole), scale, sum);
        }
        result.push_back(sum);
    }
    return result;
}

// Two blocks of 32 at a time, and what is subtracted from the weights apart.
std::vector<float> product_of_one_q4_k(const float * row) {
    struct Weights {
        ggml_fp16_t scale, min_scale;
        uint8_t packed[12];
        uint8_t pairs[128];
        int scale_of(int i) const { return i < 4 ? packed[i] & 63 : (packed[i + 4] & 15) | (packed[i - 4] >> 6) << 4; }
        int min_of(int i) const { return i < 4 ? packed[i + 4] & 63 : packed[i + 4] >> 4 | (packed[i] >> 6) << 4; }
    };
    constexpr int64_t kBlocks = kWidth / 256;
    const auto exact = waves(kWidth * kOutputs, 0.7f);
    std::vector<Weights> weights(static_cast<size_t>(kBlocks * kOutputs));
    ggml_quantize_chunk(GGML_TYPE_Q4_K, exact.data(), weights.data(), 0, kOutputs, kWidth, nullptr);
    std::vector<float> result;
    for (int64_t output = 0; output < kOutputs; output++) {
        float sum = 0;
        float subtracted = 0;
        for (int64_t block = 0; block < kBlocks; block++) {
            const Weights & w = weights[static_cast<size_t>(output * kBlocks + block)];
            const float * x = row + block * 256;
            const float scale = -x[0] / 127;  // of Q8_K, whose largest value becomes -127
            for (int i = 0; i < 8; i += 2) {
                int whole = 0;
                int mins = 0;
                for (int k = 0; k < 32; k++) {
                    const int pair = w.pairs[i / 2 * 32 + k];
                    const int first = static_cast<int>(x[i * 32 + k] / scale);
                    const int second = static_cast<int>(x[i * 32 + 32 + k] / scale);
                    whole += w.scale_of(i) * (pair & 15) * first + w.scale_of(i + 1) * (pair >> 4) * second;
                    mins += w.min_of(i) * first + w.min_of(i + 1) * second;
                }
                sum = std::fma(static_cast<float>(whole), ggml_fp16_to_fp32(w.scale) * scale, sum);
                subtracted = std::fma(static_cast<float>(mins), ggml_fp16_to_fp32(w.min_scale) * scale, subtracted);
            }
        }
        result.push_back(sum - subtracted);
    }
    return result;
}

}  // namespace

// To the bit: whatever makes it faster changes no number.
TEST(four_bit_weights_are_multiplied_exactly_as_defined) {
    qvl::load_backends(fs::current_path().string());
    if (!has_x86_layout()) {
        return;
    }
    const std::vector<float> input = inputs(37);
    for (int64_t rows = 1; rows <= 37; rows++) {
        const std::vector<float> q4_0 = product(GGML_TYPE_Q4_0, true, rows);
        const std::vector<float> q4_k = product(GGML_TYPE_Q4_K, true, rows);
        for (int64_t row = 0; row < rows; row++) {
            const std::vector<float> one = product_of_one_q4_0(input.data() + row * kWidth);
            CHECK(std::equal(one.begin(), one.end(), q4_0.begin() + row * kOutputs));
            if (row < rows / 4 * 4) {  // the rest is added up in another order
                const std::vector<float> each = product_of_one_q4_k(input.data() + row * kWidth);
                CHECK(std::equal(each.begin(), each.end(), q4_k.begin() + row * kOutputs));
            }
        }
    }
}

// Several planes are multiplied by upstream's product of two rows alone.
TEST(six_bit_weights_are_multiplied_as_by_upstream) {
    qvl::load_backends(fs::current_path().string());
    if (!has_x86_layout()) {
        return;
    }
    for (int64_t rows = 1; rows <= 37; rows++) {
        CHECK(product(GGML_TYPE_Q6_K, false, rows) == product(GGML_TYPE_Q6_K, false, rows, 2));
    }
}

TEST(rows_that_are_computed_together_are_those_computed_alone) {
    qvl::load_backends(fs::current_path().string());
    for (const ggml_type type :
         {GGML_TYPE_Q4_0, GGML_TYPE_Q4_K, GGML_TYPE_Q6_K, GGML_TYPE_Q8_0, GGML_TYPE_IQ4_NL, GGML_TYPE_MXFP4}) {
        CHECK(cosine(product(type, true, 37), product(type, false, 37)) > 0.999999);
        for (const bool fastest : {false, true}) {
            const std::vector<float> all = product(type, fastest, 37);
            for (int64_t rows = 1; rows < 37; rows++) {
                std::vector<float> some = product(type, fastest, rows);
                double worst = 0;
                for (size_t i = 0; i < some.size(); i++) {
                    worst = std::max(worst, std::fabs(double(some[i]) - all[i]));
                }
                CHECK(worst < 1e-3);  // of numbers around 100
            }
        }
    }
}

TEST(answers_nearly_like_the_unquantised_one) {
    qvl::load_backends(fs::current_path().string());
    const std::vector<float> exact = logits_of(kModel);
    const fs::path quantised = fs::temp_directory_path() / "qwenvl-native-quantised-test.gguf";
    for (const llama_ftype type : {LLAMA_FTYPE_MOSTLY_Q8_0, LLAMA_FTYPE_MOSTLY_Q4_0}) {
        llama_model_quantize_params params = llama_model_quantize_default_params();
        params.ftype = type;
        params.nthread = 1;
        CHECK(llama_model_quantize(kModel.string().c_str(), quantised.string().c_str(), &params) == 0);
        CHECK(cosine(logits_of(quantised), exact) > (type == LLAMA_FTYPE_MOSTLY_Q8_0 ? 0.99 : 0.7));
    }
    fs::remove(quantised);
}

int main() {
    return check::run();
}
