// Many requests at a time: what they share, what they must not notice of each other.
#include "running_engine.h"

TEST(requests_that_nobody_reads_hold_up_no_other) {
    Running running;
    for (int64_t id = 1; id <= 4; id++) {  // as many as are computed at the same time
        running.submit(id, prompt({static_cast<int32_t>(id)}, 300));
    }
    for (int64_t id = 1; id <= 4; id++) {
        while (running.events.tokens(id).size() < 256) {
            std::this_thread::yield();
        }
    }
    running.submit(5, prompt({1}, 2));
    running.events.wait<End>(5);
    for (int64_t id = 1; id <= 4; id++) {
        CHECK_EQ(running.events.tokens(id).size(), 256u);
        CHECK(!running.events.has<End>(id));
        running.engine->acknowledge(id, 200);
    }
    for (int64_t id = 1; id <= 4; id++) {
        running.events.wait<End>(id);
        CHECK_EQ(running.events.get<End>(id).completion_tokens, 300);
    }
}

TEST(requests_run_side_by_side) {
    Running running;
    running.submit(1, prompt({1}, 0));  // as long as the context allows, and nobody reads it
    running.submit(2, prompt({2}, 8));
    running.events.wait<End>(2);
    CHECK(!running.events.has<End>(1));
    CHECK_EQ(running.events.get<End>(2).completion_tokens, 8);
}

TEST(deterministic_answers_are_the_same_alone_and_among_others) {
    EngineParams with = params();
    with.deterministic = true;
    std::map<int64_t, std::vector<float>> alone;
    const auto logged = [](std::vector<int32_t> tokens) {
        GenerateParams generate = prompt(std::move(tokens), 40);
        generate.logprobs = 0;
        return generate;
    };
    const auto numbers = [](const Recorder & events, int64_t id) {
        std::vector<float> all;
        for (const auto & event : events.events()) {
            const auto * delta = std::get_if<TextDelta>(&event.body);
            for (size_t i = 0; delta && event.request == id && i < delta->logprobs.size(); i++) {
                all.push_back(delta->logprobs[i].chosen.logprob);
            }
        }
        return all;
    };
    for (int64_t id = 1; id <= 6; id++) {
        Running running(with);
        running.submit(id, logged(text(30 + static_cast<size_t>(id) * 17, static_cast<int32_t>(id))));
        running.events.wait<End>(id);
        alone[id] = numbers(running.events, id);
    }
    Running running(with);
    for (int64_t id = 1; id <= 6; id++) {
        running.submit(id, logged(text(30 + static_cast<size_t>(id) * 17, static_cast<int32_t>(id))));
    }
    for (int64_t id = 1; id <= 6; id++) {
        running.events.wait<End>(id);
    }
    for (int64_t id = 1; id <= 6; id++) {
        CHECK(numbers(running.events, id) == alone[id]);  // to the bit
    }
    // What is reused was computed in the same batches: again the same bits.
    running.submit(7, logged(text(30 + 6 * 17, 6)));
    running.events.wait<End>(7);
    CHECK_EQ(running.events.get<End>(7).cached_tokens, 128);
    CHECK(numbers(running.events, 7) == alone[6]);
}

TEST(concurrent_requests_compute_a_common_beginning_once) {
    Running running;
    constexpr size_t kCommon = 200;
    for (int64_t id = 1; id <= 4; id++) {
        auto tokens = text(kCommon, 3);
        tokens.push_back(static_cast<int32_t>(id));
        running.submit(id, prompt(tokens, 4));
    }
    int cached = 0;
    for (int64_t id = 1; id <= 4; id++) {
        running.events.wait<End>(id);
        cached += running.events.get<End>(id).cached_tokens;
    }
    CHECK_EQ(cached, 3 * static_cast<int>(kCommon));
}

TEST(what_another_conversation_computed_stays) {
    Running running;
    auto ask = [&, id = int64_t{0}](std::vector<int32_t> tokens) mutable {
        running.submit(++id, prompt(std::move(tokens), 4));
        running.events.wait<End>(id);
        return running.events.get<End>(id).cached_tokens;
    };
    CHECK_EQ(ask(text(60, 1)), 0);
    CHECK_EQ(ask(text(60, 2)), 0);
    CHECK_EQ(ask(text(60, 1)), 59);
    CHECK_EQ(ask(text(60, 2)), 59);
    auto branch = text(60, 1);
    branch[40] = 201;
    CHECK_EQ(ask(branch), 40);
    CHECK_EQ(ask(text(60, 1)), 59);
}

TEST(a_full_memory_makes_the_last_one_wait_not_fail) {
    Running running;
    std::map<int64_t, std::vector<int32_t>> alone;
    for (const int64_t id : {11, 12, 13}) {
        Running quiet;
        quiet.submit(id, prompt(text(150, static_cast<int32_t>(id)), 100));
        quiet.events.wait<End>(id);
        alone[id] = quiet.events.tokens(id);
    }
    for (const int64_t id : {11, 12, 13}) {  // 750 cells of 512
        running.submit(id, prompt(text(150, static_cast<int32_t>(id)), 100));
    }
    for (const int64_t id : {11, 12, 13}) {
        running.events.wait<End>(id);
        CHECK_EQ(running.events.get<End>(id).reason, "length");
        CHECK(running.events.tokens(id) == alone[id]);
    }
}

TEST(a_full_memory_makes_the_lower_priority_wait) {
    Running running;
    const auto submit = [&](int64_t id, int priority) {
        auto request = prompt(text(50, static_cast<int32_t>(id)), 200);
        running.engine->submit(std::make_shared<Request>(id, std::move(request), priority));
    };
    submit(11, 0);
    while (running.events.tokens(11).empty()) {
        std::this_thread::yield();
    }
    submit(12, 1);  // 750 cells of 512
    submit(13, 1);
    for (const int64_t id : {11, 12, 13}) {
        running.events.wait<End>(id);
    }
    std::vector<int64_t> ended;
    for (const auto & event : running.events.events()) {
        if (std::holds_alternative<End>(event.body)) {
            ended.push_back(event.request);
        }
    }
    CHECK_EQ(ended.back(), 11);
}

TEST(the_higher_priority_goes_first) {
    EngineParams one = params();
    one.parallel = 1;
    Recorder events;
    const auto engine = Engine::open(one, events.sink());
    for (int64_t id = 1; id <= 5; id++) {  // they wait for the model
        engine->submit(std::make_shared<Request>(id, prompt({2}, 3), static_cast<int>(id % 4)));
    }
    for (int64_t id = 1; id <= 5; id++) {
        events.wait<End>(id);
    }
    engine->close();
    CHECK(engine->join(Clock::now() + std::chrono::seconds(30)));
    std::vector<int64_t> ended;
    for (const auto & event : events.events()) {
        if (std::holds_alternative<End>(event.body)) {
            ended.push_back(event.request);
        }
    }
    CHECK(ended == (std::vector<int64_t>{3, 2, 1, 5, 4}));
}

TEST(a_beginning_that_a_higher_priority_waits_for_is_as_urgent) {
    EngineParams with = params();
    with.context_size = 8192;
    with.batch_size = 8;
    Running running(with);
    const auto submit = [&](int64_t id, std::vector<int32_t> tokens, int priority) {
        running.engine->submit(std::make_shared<Request>(id, prompt(std::move(tokens), 1), priority));
    };
    submit(1, text(4000, 1), 1);
    submit(2, text(200, 2), 0);
    while (running.engine->stats().running < 2) {
        std::this_thread::yield();
    }
    submit(3, text(210, 2), 2);
    running.events.wait<End>(3);
    CHECK(!running.events.has<End>(1));
    CHECK(running.events.get<End>(3).cached_tokens >= 190);
}

TEST(texts_go_on_while_a_picture_is_encoded_and_change_nothing_in_it) {
    ImageSegment large = picture();
    large.width = large.height = 56 * 8;
    large.pixels.resize(static_cast<size_t>(large.width) * static_cast<size_t>(large.height) * 3);
    for (size_t i = 0; i < large.pixels.size(); i++) {
        large.pixels[i] = static_cast<uint8_t>(i * 31 + i / 977);
    }
    large.count = 256;
    Running quiet;
    quiet.submit(1, EncodeParams{large});
    quiet.events.wait<End>(1);

    Running running;
    running.submit(2, prompt({1}, 250));
    while (running.events.tokens(2).empty()) {
        std::this_thread::yield();
    }
    running.submit(1, EncodeParams{large});
    running.events.wait<End>(1);
    running.events.wait<End>(2);
    CHECK(*running.events.get<EmbeddingReady>(1).rows == *quiet.events.get<EmbeddingReady>(1).rows);
    size_t during = 0;  // tokens between the start of the encoding and its end
    bool encoded = false;
    for (const auto & event : running.events.events()) {
        encoded = encoded || std::holds_alternative<EmbeddingReady>(event.body);
        during += !encoded && std::holds_alternative<TextDelta>(event.body) ? 1 : 0;
    }
    CHECK(during > 10);
}

TEST(pictures_of_several_requests_are_encoded_once_if_they_are_the_same) {
    Recorder events;
    const auto engine = Engine::open(params(), events.sink());
    const auto about = [](int32_t question) {
        ImageSegment shown = picture();
        shown.hash = "shown";
        shown.positions = {1, 1, 1, 1, 1, 1, 2, 2, 1, 2, 1, 2};
        GenerateParams generate = prompt({question}, 2);
        generate.segments.push_back(shown);
        generate.segments.push_back(TextSegment{{2}, 3});
        generate.position = 4;
        return generate;
    };
    for (int64_t id = 1; id <= 4; id++) {  // they wait for the model, and come to the encoder together
        engine->submit(std::make_shared<Request>(id, about(static_cast<int32_t>(id))));
    }
    int encoded = 0;
    for (int64_t id = 1; id <= 4; id++) {
        events.wait<End>(id);
        encoded += events.get<ImageEncoded>(id).source == Source::encoder ? 1 : 0;
    }
    CHECK_EQ(encoded, 1);
    engine->close();
    CHECK(engine->join(Clock::now() + std::chrono::seconds(30)));
}

// The next one comes at any moment of a turn of the engine.
TEST(pictures_that_follow_each_other_closely_are_all_encoded) {
    Running running;
    for (int64_t id = 1; id <= 500; id++) {
        running.submit(id, EncodeParams{picture()});
        running.events.wait<EmbeddingReady>(id);
    }
}

TEST(the_next_picture_is_encoded_while_what_stands_before_it_is_computed) {
    EngineParams with = params();
    with.parallel = 1;
    with.batch_size = 1;  // so that the text takes a while
    with.cache.memory_bytes = 1 << 20;
    Running running(with);
    const auto shown = [](const char * hash, int32_t t) {
        ImageSegment image = picture();
        image.hash = hash;
        image.cache = Keep::memory;
        image.positions = {t, t, t, t, t, t, t + 1, t + 1, t, t + 1, t, t + 1};
        return image;
    };
    GenerateParams generate = prompt({1}, 1);
    generate.segments.push_back(shown("first", 1));
    generate.segments.push_back(TextSegment{text(400, 2), 3});
    generate.segments.push_back(shown("second", 403));
    generate.segments.push_back(TextSegment{{2}, 405});
    generate.position = 406;
    running.submit(1, generate);
    running.events.wait<ImageEncoded>(1);
    running.submit(2, EncodeParams{shown("second", 403)});
    running.events.wait<End>(1);
    running.events.wait<End>(2);
    std::vector<int64_t> seen;  // who was told of the second picture, in their order
    for (const auto & event : running.events.events()) {
        const auto * encoded = std::get_if<ImageEncoded>(&event.body);
        if ((encoded && encoded->index == 1) || std::holds_alternative<EmbeddingReady>(event.body)) {
            seen.push_back(event.request);
        }
        CHECK(!encoded || encoded->source == Source::encoder);  // not the second request's
    }
    CHECK(seen == (std::vector<int64_t>{2, 1}));
}

// What a thought is closed with is forced: here a part of the prompt once more.
GenerateParams repeating(int32_t first, int speculate) {
    constexpr size_t kRepeated = 60;
    GenerateParams generate = prompt(text(100, first), kRepeated + 20);
    generate.sampling.thought = {0, 250, text(kRepeated, first)};
    generate.speculate = speculate;
    return generate;
}

TEST(guessed_tokens_change_nothing_in_the_text) {
    std::map<int64_t, std::vector<int32_t>> plain;
    for (const int64_t id : {1, 2, 3, 4}) {
        Running quiet;
        quiet.submit(id, repeating(static_cast<int32_t>(id), 0));
        quiet.events.wait<End>(id);
        plain[id] = quiet.events.tokens(id);
        CHECK_EQ(quiet.events.get<End>(id).guessed_tokens, 0);
    }
    EngineParams with = params();
    with.context_size = 1024;
    Running running(with);
    for (const int64_t id : {1, 2, 3, 4}) {
        running.submit(id, repeating(static_cast<int32_t>(id), 8));
    }
    for (const int64_t id : {1, 2, 3, 4}) {
        running.events.wait<End>(id);
        const auto end = running.events.get<End>(id);
        CHECK(running.events.tokens(id) == plain[id]);
        CHECK(end.accepted_tokens > 40);
        CHECK(end.accepted_tokens <= end.guessed_tokens);
        CHECK_EQ(end.completion_tokens, 80);
    }
    // Wrong guesses left nothing behind: who goes on from there goes on as if there had been none.
    auto next = text(100, 1);
    next.insert(next.end(), plain[1].begin(), plain[1].end());
    Running quiet;
    quiet.submit(5, prompt(next, 20));
    running.submit(5, prompt(next, 20));
    quiet.events.wait<End>(5);
    running.events.wait<End>(5);
    CHECK_EQ(running.events.get<End>(5).cached_tokens, 179);
    CHECK(running.events.tokens(5) == quiet.events.tokens(5));
}

TEST(an_answer_ends_where_it_does_among_guesses_that_were_right) {
    GenerateParams generate = prompt(text(20, 1), 100);
    std::vector<int32_t> forced(30, 9);
    forced.push_back(77);
    generate.sampling.thought = {0, 250, forced};
    generate.stop_tokens = {77};
    generate.speculate = 8;
    Running running;
    running.submit(1, generate);
    running.events.wait<End>(1);
    CHECK(running.events.get<End>(1).accepted_tokens > 10);
    CHECK_EQ(running.events.get<End>(1).reason, "stop");
    CHECK(running.events.tokens(1) == forced);
}

TEST(guesses_take_no_room_from_others) {
    Running running;
    for (const int64_t id : {1, 2, 3}) {  // 540 cells of 512
        running.submit(id, repeating(static_cast<int32_t>(id), 16));
    }
    for (const int64_t id : {1, 2, 3}) {
        running.events.wait<End>(id);
        CHECK_EQ(running.events.get<End>(id).reason, "length");
    }
}

TEST(a_deterministic_answer_is_not_guessed) {
    EngineParams with = params();
    with.deterministic = true;
    Running running(with);
    running.submit(1, repeating(1, 8));
    running.events.wait<End>(1);
    CHECK_EQ(running.events.get<End>(1).guessed_tokens, 0);
}

int main() {
    load_backends("");
    return check::run();
}
