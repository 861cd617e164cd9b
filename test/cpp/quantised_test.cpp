// A quantised model of the kinds that processors with matrix units (AMX) multiply by code of their own.
#include "check.h"

#include "backends.h"
#include "llama.h"

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

}  // namespace

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
