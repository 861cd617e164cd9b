#include "engine.h"

#include "backends.h"
#include "baton.h"
#include "decoder.h"
#include "encoder.h"
#include "error.h"
#include "scheduler.h"
#include "vision.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <exception>

namespace qvl {

namespace {

constexpr std::chrono::seconds kExitDeadline{5};

// Every engine that has not ended. Never destroyed: static destructors run while threads may still use it.
struct Registry {
    std::mutex mutex;
    std::vector<std::weak_ptr<Engine>> engines;
};

Registry & registry() {
    static auto & instance = *std::make_unique<Registry>().release();
    return instance;
}

// ggml's device tables are function-local statics, registered at first use. A handler that is registered after them
// runs before they are destroyed, so it comes after the first load.
void stop_all_at_exit() {
    static std::once_flag once;
    std::call_once(once, [] { std::atexit([] { stop_all(kExitDeadline); }); });
}

}  // namespace

std::shared_ptr<Engine> Engine::open(EngineParams params, EventSink sink) {
    struct Access : Engine {  // make_shared needs a public constructor
        Access(EngineParams p, EventSink s) : Engine(std::move(p), std::move(s)) {}
    };
    auto engine = std::make_shared<Access>(std::move(params), std::move(sink));
    {
        const std::lock_guard<std::mutex> lock(registry().mutex);
        auto & all = registry().engines;
        all.erase(std::remove_if(all.begin(), all.end(), [](const auto & weak) { return weak.expired(); }), all.end());
        all.push_back(engine);
    }
    engine->thread_ = Thread("qvl-engine", [raw = engine.get()] { raw->run(); });
    return engine;
}

Engine::Engine(EngineParams params, EventSink sink) : params_(std::move(params)), sink_(std::move(sink)) {}

Engine::~Engine() {
    close();
    thread_.join();
}

void Engine::submit(std::shared_ptr<Request> request) {
    const int64_t id = request->id;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (!closing_ && !ended_) {
            requests_[id] = request;
            queue_.push(std::move(request));
        }
    }
    if (request) {
        sink_({id, RequestError{"DISPOSED", "The model was disposed. Load it again.", ""}});
    }
    work_.notify();
}

void Engine::cancel(int64_t id) {
    if (const auto request = running(id)) {
        request->cancelled = true;
    }
    if (const auto waiting = queue_.remove(id)) {  // never started: it need not wait for its turn to end
        End end;
        end.reason = "cancelled";
        end.timings.queue_ms = milliseconds_since(waiting->submitted);
        emit({id, std::move(end)});
    }
    work_.notify();
}

void Engine::acknowledge(int64_t id, int events) {
    if (const auto request = running(id)) {
        request->unread -= events;
    }
    work_.notify();
}

std::shared_ptr<Request> Engine::running(int64_t id) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = requests_.find(id);
    return found == requests_.end() ? nullptr : found->second.lock();
}

// Called by whatever thread ends a request. Of two that do the first is heard, and none after the engine's own end.
void Engine::emit(Event event) {
    if (!std::holds_alternative<End>(event.body) && !std::holds_alternative<RequestError>(event.body)) {
        sink_(std::move(event));
        return;
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    if (requests_.erase(event.request) > 0) {
        sink_(std::move(event));
    }
}

std::shared_ptr<const Model> Engine::model() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return model_;
}

void Engine::close() {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        closing_ = true;
    }
    work_.notify();
}

bool Engine::join(std::chrono::steady_clock::time_point deadline) {
    bool ended = false;
    const std::lock_guard<std::mutex> one_joiner(join_mutex_);
    {
        std::unique_lock<std::mutex> lock(mutex_);
        ended = changed_.wait_until(lock, deadline, [this] { return ended_; });
    }
    if (ended) {
        thread_.join();
    } else {
        thread_.abandon();
    }
    return ended;
}

// Empty: nobody wants to hear.
LogListener::Heard Engine::log_sink() const {
    if (!params_.log) {
        return {};
    }
    return [this](const char * level, std::string line) { sink_({-1, LogLine{level, std::move(line)}}); };
}

void Engine::run() noexcept {
    const LogListener listener(log_sink());
    const LogTail last_words;  // for the abort callback of ggml
    try {
        load_and_serve();
    } catch (const Error & error) {
        sink_({-1, LoadFailed{error.code(), error.message(), error.detail()}});
    } catch (const std::bad_alloc &) {
        sink_({-1, LoadFailed{"OUT_OF_MEMORY", "There is not enough memory for this model. Use a smaller one.", ""}});
    } catch (const std::exception & error) {
        sink_({-1, LoadFailed{"MODEL_LOAD_FAILED", error.what(), ""}});
    }
    std::unique_ptr<EmbeddingCache> cache;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        closing_ = true;
        model_.reset();
        cache = std::move(cache_);
    }
    cache.reset();  // what is being written is finished
    for (const auto & request : queue_.take_all()) {
        emit({request->id, RequestError{"DISPOSED", "The model was disposed while the request waited.", ""}});
    }
    // Whatever ended the engine: every request hears of it.
    std::map<int64_t, std::weak_ptr<Request>> left;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        left = requests_;
    }
    for (const auto & [id, request] : left) {
        emit({id, RequestError{"INTERNAL", "The engine ended unexpectedly. Load the model again.", ""}});
    }
    sink_({-1, Closed{}});
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        ended_ = true;
    }
    changed_.notify_all();
}

void Engine::load_and_serve() {
    const bool has_vision = !params_.mmproj.empty();
    // The decoder's file is most of the work: the bar's first nine tenths.
    const double share = has_vision ? 0.9 : 1.0;
    const int threads = params_.threads > 0 ? params_.threads : usable_cores();

    auto model = std::make_shared<const Model>(params_, [&](float p) { return report_loaded(p * share); });
    std::unique_ptr<Vision> vision;
    if (has_vision) {
        vision = std::make_unique<Vision>(params_, *model, threads,
                                          [&](float p) { return report_loaded(share + p * (1 - share)); });
    }
    Decoder decoder(params_, model, threads);
    stop_all_at_exit();
    auto cache = vision ? open_cache(*vision) : nullptr;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        model_ = model;
        cache_ = std::move(cache);
    }
    sink_({-1, Ready{info(*model, vision.get(), threads)}});

    Baton baton;
    Baton * taking_turns = compute_device(params_.gpu_layers).kind == "cpu" ? &baton : nullptr;
    std::unique_ptr<Encoder> encoder;
    if (vision) {
        encoder = std::make_unique<Encoder>(*vision, *cache_, taking_turns, [this] { work_.notify(); }, log_sink());
    }
    const EventSink emit = [this](Event event) { this->emit(std::move(event)); };
    const auto prompts = vision && !params_.cache.prompts.empty() ? open_prompts(*vision) : nullptr;
    Scheduler scheduler(
        params_, decoder, encoder.get(), prompts.get(), taking_turns, queue_, standing_, emit,
        [this] { return closing_.load(); }, [this] { work_.notify(); });
    while (!closing_) {
        if (!scheduler.turn()) {
            work_.wait();
        }
    }
    if (encoder) {
        encoder->stop();
    }
    scheduler.finish();
}

std::unique_ptr<EmbeddingCache> Engine::open_cache(const Vision & vision) {
    return std::make_unique<EmbeddingCache>(params_.cache, maker(params_.cache.encoder, vision), warning());
}

std::unique_ptr<PromptCache> Engine::open_prompts(const Vision & vision) {
    return std::make_unique<PromptCache>(params_.cache, maker(params_.cache.prompts, vision), warning(),
                                         [this] { work_.notify(); });
}

// A folder's name: what else decides about numbers is the device and the type of the encoder's weights.
std::string Engine::maker(const std::string & identity, const Vision & vision) const {
    return identity + "-" + compute_device(params_.gpu_layers).name + "-" + vision.weight_type();
}

std::function<void(const Error &)> Engine::warning() const {
    return [this](const Error & error) { sink_({-1, Warning{error.code(), error.message()}}); };
}

EngineStats Engine::stats() const {
    EngineStats stats;
    stats.running = standing_.running;
    stats.waiting = static_cast<int>(queue_.size()) + standing_.put_aside;
    stats.cells = standing_.cells;
    stats.used_cells = standing_.used_cells;
    stats.cached_sequences = standing_.cached_sequences;
    const std::lock_guard<std::mutex> lock(mutex_);
    stats.embeddings = cache_ ? cache_->stats() : CacheStats{};
    return stats;
}

// False: stop loading.
bool Engine::report_loaded(double share) {
    const int now = static_cast<int>(std::floor(share * 100));
    if (now > loaded_percent_) {
        loaded_percent_ = now;
        sink_({-1, LoadProgress{now / 100.0}});
    }
    return !closing_;
}

EngineInfo Engine::info(const Model & model, const Vision * vision, int threads) const {
    EngineInfo info{};
    info.context_size = params_.context_size;
    info.train_context_size = llama_model_n_ctx_train(model.get());
    info.vocab_size = llama_vocab_n_tokens(model.vocab());
    info.embedding_width = model.embedding_width();
    info.uses_mrope = model.uses_mrope();
    info.has_vision = vision != nullptr;
    info.end_tokens = model.end_tokens();
    for (const int32_t id : model.control_tokens()) {
        info.control_tokens.push_back({id, llama_vocab_get_text(model.vocab(), id)});
    }
    info.decoder_device = compute_device(params_.gpu_layers).description;
    info.encoder_device = vision != nullptr ? info.decoder_device : "";
    info.encoder_weights = vision != nullptr ? vision->weight_type() : "";
    info.has_head = model.has_head();
    info.threads = threads;
    info.model_bytes = llama_model_size(model.get());
    info.parameters = llama_model_n_params(model.get());
    char description[128] = {};
    llama_model_desc(model.get(), description, sizeof(description));
    info.description = description;
    return info;
}

void stop_all(std::chrono::milliseconds deadline) {
    std::vector<std::shared_ptr<Engine>> engines;
    {
        const std::lock_guard<std::mutex> lock(registry().mutex);
        for (const auto & weak : registry().engines) {
            if (auto engine = weak.lock()) {
                engines.push_back(std::move(engine));
            }
        }
    }
    for (const auto & engine : engines) {
        engine->close();
    }
    const auto until = std::chrono::steady_clock::now() + deadline;
    for (const auto & engine : engines) {
        engine->join(until);
    }
}

}  // namespace qvl
