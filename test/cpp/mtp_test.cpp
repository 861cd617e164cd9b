// The head for multi-token prediction of Qwen3.5: what it guesses changes no answer, though the model's state cannot be cut.
#include "running_engine.h"

namespace {

EngineParams with_head(bool mtp) {
    EngineParams with = params();
    const auto folder = std::filesystem::path(__FILE__).parent_path() / "../fixtures/qwen3.5";
    with.model = (folder / "model-mtp-f32.gguf").string();
    with.mmproj = (folder / "mmproj-f32.gguf").string();
    with.context_size = 1024;
    with.mtp = mtp;
    return with;
}

GenerateParams asked(std::vector<int32_t> tokens, int max_tokens, uint32_t seed) {
    GenerateParams generate = prompt(std::move(tokens), max_tokens);
    generate.speculate = 3;
    if (seed > 0) {
        generate.sampling.temperature = 0.7f;
        generate.sampling.top_k = 20;
        generate.sampling.seed = seed;
    }
    return generate;
}

// Where nothing is guessed and nothing kept.
std::vector<int32_t> plain(const GenerateParams & generate) {
    Running quiet(with_head(false));
    quiet.submit(1, generate);
    quiet.events.wait<End>(1);
    CHECK_EQ(quiet.events.get<End>(1).guessed_tokens, 0);
    return quiet.events.tokens(1);
}

std::vector<int32_t> followed(std::vector<int32_t> tokens, const std::vector<int32_t> & more) {
    tokens.insert(tokens.end(), more.begin(), more.end());
    return tokens;
}

}  // namespace

TEST(the_head_is_loaded_when_asked_for) {
    CHECK(Running(with_head(true)).events.get<Ready>(-1).info.has_head);
    CHECK(!Running(with_head(false)).events.get<Ready>(-1).info.has_head);
    EngineParams without = params();
    without.mtp = true;
    CHECK(!Running(without).events.get<Ready>(-1).info.has_head);
    EngineParams deterministic = with_head(true);
    deterministic.deterministic = true;
    CHECK(!Running(deterministic).events.get<Ready>(-1).info.has_head);
}

TEST(answers_are_the_models_own_side_by_side_and_one_after_the_other) {
    Running running(with_head(true));
    int guessed = 0;
    int accepted = 0;
    const auto request = [](int64_t id) {
        return asked(text(20 + static_cast<size_t>(id) * 13, static_cast<int32_t>(id) * 3), 60, id % 2 ? 0 : 7);
    };
    for (int64_t id = 1; id <= 6; id++) {  // two of them wait
        running.submit(id, request(id));
    }
    for (int64_t id = 1; id <= 6; id++) {
        running.events.wait<End>(id);
        const End end = running.events.get<End>(id);
        CHECK_EQ(end.completion_tokens, 60);
        CHECK(end.accepted_tokens <= end.guessed_tokens);
        guessed += end.guessed_tokens;
        accepted += end.accepted_tokens;
        CHECK(running.events.tokens(id) == plain(request(id)));
    }
    CHECK(accepted > 0);
    CHECK(accepted < guessed);
}

// Wrong guesses leave nothing behind, at whatever token an answer ends.
TEST(two_next_turns_share_the_state_that_an_answer_left) {
    Running running(with_head(true));
    for (int64_t id = 1; id <= 6; id++) {
        const auto tokens = text(40, static_cast<int32_t>(id) * 3);
        running.submit(100 + id, asked(tokens, 30 + static_cast<int>(id), 0));
        running.events.wait<End>(100 + id);
        const auto next = followed(tokens, running.events.tokens(100 + id));
        const auto one = asked(followed(next, {5}), 30, 0);
        const auto two = asked(followed(next, {6}), 30, 9);
        running.submit(200 + id, one);
        running.submit(300 + id, two);
        running.events.wait<End>(200 + id);
        running.events.wait<End>(300 + id);
        CHECK(running.events.get<End>(200 + id).cached_tokens >= 40);
        CHECK(running.events.get<End>(300 + id).cached_tokens >= 40);
        CHECK(running.events.tokens(200 + id) == plain(one));
        CHECK(running.events.tokens(300 + id) == plain(two));
    }
}

TEST(a_cancelled_answer_leaves_a_state_that_is_right) {
    Running running(with_head(true));
    const auto request = asked(text(50, 4), 60, 0);
    const auto expected = plain(request);
    for (int64_t id = 1; id <= 8; id++) {
        auto endless = request;
        endless.max_tokens = 0;
        running.submit(id, endless);
        while (running.events.tokens(id).size() < static_cast<size_t>(id)) {
            std::this_thread::yield();
        }
        running.engine->cancel(id);
        running.events.wait<End>(id);
        running.submit(100 + id, request);
        running.events.wait<End>(100 + id);
        CHECK(running.events.tokens(100 + id) == expected);
    }
}

TEST(a_full_memory_and_small_batches_change_nothing) {
    EngineParams tight = with_head(true);
    tight.context_size = 512;
    tight.batch_size = 8;
    Running running(tight);
    const auto request = [](int64_t id) { return asked(text(150, static_cast<int32_t>(id)), 100, 0); };
    for (const int64_t id : {11, 12, 13, 14}) {  // 1000 cells of 512
        running.submit(id, request(id));
    }
    for (const int64_t id : {11, 12, 13, 14}) {
        running.events.wait<End>(id);
        CHECK_EQ(running.events.get<End>(id).reason, "length");
        CHECK(running.events.tokens(id) == plain(request(id)));
    }
}

TEST(one_that_does_not_want_guesses_gets_none) {
    Running running(with_head(true));
    auto request = asked(text(50, 4), 60, 0);
    request.speculate = 0;
    running.submit(1, request);
    running.events.wait<End>(1);
    CHECK_EQ(running.events.get<End>(1).guessed_tokens, 0);
    CHECK(running.events.tokens(1) == plain(request));
}

int main() {
    load_backends("");
    return check::run();
}
