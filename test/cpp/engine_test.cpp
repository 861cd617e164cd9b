// The engine as its owner sees it: events of single requests, its beginning and its end.
#include "running_engine.h"

#include <random>

TEST(loading_reports_progress_then_ready_and_closing_comes_last) {
    Recorder events;
    const auto engine = Engine::open(params(), events.sink());
    events.wait<Ready>(-1);
    CHECK(engine->model() != nullptr);
    engine->close();
    CHECK(engine->join(Clock::now() + std::chrono::seconds(30)));
    CHECK(engine->model() == nullptr);
    double progress = -1;
    for (const auto & event : events.events()) {
        if (const auto * load = std::get_if<LoadProgress>(&event.body)) {
            CHECK(load->progress > progress);
            progress = load->progress;
        }
    }
    CHECK_EQ(progress, 1.0);
    CHECK(std::holds_alternative<Closed>(events.events().back().body));
    const auto info = events.get<Ready>(-1).info;
    CHECK_EQ(info.context_size, 512);
    CHECK(info.has_vision);
    CHECK(info.uses_mrope);
    CHECK(!info.end_tokens.empty());
}

TEST(a_failed_load_says_why_and_ends) {
    EngineParams missing = params();
    missing.model = "/does/not/exist.gguf";
    Recorder events;
    const auto engine = Engine::open(missing, events.sink());
    CHECK(engine->join(Clock::now() + std::chrono::seconds(30)));
    CHECK_EQ(events.get<LoadFailed>(-1).code, "MODEL_LOAD_FAILED");
    CHECK(!events.get<LoadFailed>(-1).detail.empty());
    CHECK(events.has<Closed>(-1));
}

TEST(closing_stops_a_load) {
    for (int i = 0; i < 20; i++) {
        Recorder events;
        const auto engine = Engine::open(params(), events.sink());
        if (i % 2 == 1) {
            events.wait<LoadProgress>(-1);
        }
        engine->close();
        CHECK(engine->join(Clock::now() + std::chrono::seconds(30)));
        CHECK(events.has<LoadFailed>(-1) || events.has<Ready>(-1));
        CHECK(std::holds_alternative<Closed>(events.events().back().body));
    }
}

TEST(a_request_ends_with_exactly_one_end) {
    Running running;
    running.submit(1, prompt({1, 2, 3, 4}, 8));
    running.events.wait<End>(1);
    const End end = running.events.get<End>(1);
    CHECK_EQ(end.reason, "length");
    CHECK_EQ(end.prompt_tokens, 4);
    CHECK_EQ(end.cached_tokens, 0);
    CHECK_EQ(end.completion_tokens, 8);
    CHECK_EQ(running.events.tokens(1).size(), 8u);
}

TEST(reused_cells_give_the_same_tokens) {
    Running fresh;
    fresh.submit(1, prompt({5, 6, 7, 8, 9}, 12));
    fresh.events.wait<End>(1);
    Running used;
    used.submit(1, prompt({5, 6, 7}, 20));
    used.events.wait<End>(1);
    used.submit(2, prompt({5, 6, 7, 8, 9}, 12));
    used.events.wait<End>(2);
    CHECK_EQ(used.events.get<End>(2).cached_tokens, 3);
    CHECK(used.events.tokens(2) == fresh.events.tokens(1));
}

TEST(a_picture_is_encoded) {
    Running running;
    running.submit(1, EncodeParams{picture()});
    running.events.wait<End>(1);
    const auto rows = running.events.get<EmbeddingReady>(1).rows;
    CHECK_EQ(rows->size(), 4u * static_cast<size_t>(running.events.get<Ready>(-1).info.embedding_width));
    ImageSegment wrong = picture();
    wrong.count = 5;
    running.submit(2, EncodeParams{wrong});
    running.events.wait<RequestError>(2);
    CHECK_EQ(running.events.get<RequestError>(2).code, "INVALID_ARGUMENT");
}

TEST(what_would_read_behind_a_buffer_is_refused) {
    Running running;
    const int vocabulary = running.events.get<Ready>(-1).info.vocab_size;
    ImageSegment narrow;
    narrow.embedding.assign(8, 0.0f);  // two values a row
    narrow.hash = "narrow";
    narrow.count = 4;
    narrow.positions = {1, 1, 1, 1, 1, 1, 2, 2, 1, 2, 1, 2};
    GenerateParams with_narrow = prompt({1}, 1);
    with_narrow.segments.push_back(narrow);
    with_narrow.segments.push_back(TextSegment{{2}, 3});
    running.submit(1, with_narrow);
    running.submit(2, prompt({1, vocabulary}, 1));
    running.submit(3, prompt({1, -1}, 1));
    GenerateParams pad = prompt({1}, 1);
    pad.pad_token = vocabulary;
    running.submit(4, pad);
    for (int64_t id = 1; id <= 4; id++) {
        running.events.wait<RequestError>(id);
        CHECK_EQ(running.events.get<RequestError>(id).code, "INVALID_ARGUMENT");
    }
    running.submit(5, prompt({1}, 1));
    running.events.wait<End>(5);
}

TEST(a_request_that_nobody_reads_is_parked) {
    Running running;
    running.submit(1, prompt({1}, 400));
    while (running.events.tokens(1).size() < 256) {
        std::this_thread::yield();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    CHECK_EQ(running.events.tokens(1).size(), 256u);
    running.engine->acknowledge(1, 200);
    running.events.wait<End>(1);
    CHECK_EQ(running.events.get<End>(1).completion_tokens, 400);
}

TEST(a_parked_request_can_be_cancelled) {
    Running running;
    running.submit(1, prompt({1}, 400));
    while (running.events.tokens(1).size() < 256) {
        std::this_thread::yield();
    }
    running.engine->cancel(1);
    running.events.wait<End>(1);
    CHECK_EQ(running.events.get<End>(1).reason, "cancelled");
}

TEST(requests_of_a_closed_engine_are_refused) {
    Running running;
    running.engine->close();
    running.submit(1, prompt({1}, 1));
    running.events.wait<RequestError>(1);
    CHECK_EQ(running.events.get<RequestError>(1).code, "DISPOSED");
}

TEST(a_storm_of_submits_and_cancels_ends_each_request_once) {
    Recorder events;
    const auto engine = Engine::open(params(), events.sink());
    events.wait<Ready>(-1);
    std::mt19937 random(42);
    constexpr int64_t kRequests = 600;
    for (int64_t id = 1; id <= kRequests; id++) {
        if (random() % 4 == 0) {
            engine->submit(std::make_shared<Request>(id, EncodeParams{picture()}));
        } else {
            std::vector<int32_t> tokens(1 + random() % 100, 1);
            tokens.back() = static_cast<int32_t>(random() % 50);
            engine->submit(std::make_shared<Request>(id, prompt(tokens, static_cast<int>(1 + random() % 4))));
        }
        if (random() % 3 != 0) {
            engine->cancel(static_cast<int64_t>(1 + random() % static_cast<uint64_t>(id)));
        }
        engine->acknowledge(id, 1);
        if (random() % 50 == 0) {
            events.wait_end(id);
        }
    }
    events.wait_end(kRequests / 2);
    engine->close();  // with work in flight
    CHECK(engine->join(Clock::now() + std::chrono::seconds(30)));
    std::map<int64_t, int> ends;
    for (const auto & event : events.events()) {
        CHECK(event.request < 0 || ends[event.request] == 0);  // nothing follows the last event
        if (std::holds_alternative<End>(event.body) || std::holds_alternative<RequestError>(event.body)) {
            ends[event.request]++;
        }
    }
    for (int64_t id = 1; id <= kRequests; id++) {
        CHECK_EQ(ends[id], 1);
    }
}

TEST(stop_all_ends_every_engine) {
    Recorder events[3];
    std::vector<std::shared_ptr<Engine>> engines;
    for (auto & recorder : events) {
        engines.push_back(Engine::open(params(), recorder.sink()));
    }
    events[0].wait<Ready>(-1);
    engines[0]->submit(std::make_shared<Request>(1, prompt({1}, 0)));
    stop_all(std::chrono::seconds(30));
    for (const auto & recorder : events) {
        CHECK(recorder.has<Closed>(-1));
    }
    CHECK(events[0].has<End>(1) || events[0].has<RequestError>(1));
    stop_all(std::chrono::seconds(30));  // idempotent
}

int main() {
    load_backends("");
    return check::run();
}
