#include "engine.h"

#include "backends.h"
#include "error.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <exception>

namespace qvl {

namespace {

constexpr int kMostUnread = 256;
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
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (!closing_ && !ended_) {
            queue_.push_back(std::move(request));
        }
    }
    if (request) {
        sink_({request->id, RequestError{"DISPOSED", "The model was disposed. Load it again.", ""}});
    }
    changed_.notify_all();
}

void Engine::cancel(int64_t id) {
    std::shared_ptr<Request> waiting;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (active_ && active_->id == id) {
            active_->cancelled = true;
        }
        const auto found = std::find_if(queue_.begin(), queue_.end(), [id](const auto & r) { return r->id == id; });
        if (found != queue_.end()) {
            waiting = *found;
            queue_.erase(found);
        }
    }
    if (waiting) {  // never started: it need not wait for its turn to end
        End end;
        end.reason = "cancelled";
        end.timings.queue_ms = milliseconds_since(waiting->submitted);
        sink_({id, std::move(end)});
    }
    changed_.notify_all();
}

void Engine::acknowledge(int64_t id, int events) {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (active_ && active_->id == id) {
            active_->unread -= events;
        }
    }
    changed_.notify_all();
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
    changed_.notify_all();
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

bool Engine::stopping() const {
    return closing_;
}

void Engine::run() noexcept {
    try {
        load_and_serve();
    } catch (const Error & error) {
        sink_({-1, LoadFailed{error.code(), error.message(), error.detail()}});
    } catch (const std::bad_alloc &) {
        sink_({-1, LoadFailed{"OUT_OF_MEMORY", "There is not enough memory for this model. Use a smaller one.", ""}});
    } catch (const std::exception & error) {
        sink_({-1, LoadFailed{"MODEL_LOAD_FAILED", error.what(), ""}});
    }
    std::deque<std::shared_ptr<Request>> left;
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        closing_ = true;
        model_.reset();
        left.swap(queue_);
    }
    for (const auto & request : left) {
        sink_({request->id, RequestError{"DISPOSED", "The model was disposed while the request waited.", ""}});
    }
    sink_({-1, Closed{}});
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        ended_ = true;
    }
    changed_.notify_all();
}

void Engine::load_and_serve() {
    // The decoder's file is most of the work: the bar's first nine tenths.
    int percent = -1;
    const auto report = [&](double progress) {
        const int now = static_cast<int>(std::floor(progress * 100));
        if (now > percent) {
            percent = now;
            sink_({-1, LoadProgress{now / 100.0}});
        }
        return !stopping();
    };
    const bool has_vision = !params_.mmproj.empty();
    const double share = has_vision ? 0.9 : 1.0;
    const int threads = params_.threads > 0 ? params_.threads : physical_cores();

    auto model = std::make_shared<const Model>(params_, [&](float p) { return report(p * share); });
    std::unique_ptr<Vision> vision;
    if (has_vision) {
        vision = std::make_unique<Vision>(params_, *model, threads,
                                          [&](float p) { return report(share + p * (1 - share)); });
    }
    Decoder decoder(params_, model, threads,
                    [this] { return stopping() || (active_ != nullptr && active_->cancelled); });
    stop_all_at_exit();
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        model_ = model;
    }
    sink_({-1, Ready{info(decoder, vision.get(), threads)}});
    serve(decoder, vision.get());
}

void Engine::serve(Decoder & decoder, Vision * vision) {
    const std::shared_ptr<const Model> model = this->model();
    while (const auto request = next_request()) {
        const TaskContext context{*model,
                                  decoder,
                                  vision,
                                  sink_,
                                  [&] { return stopping() || request->cancelled; },
                                  [this](Request & parked) { wait_for_reader(parked); }};
        run_request(*request, context);
    }
}

void Engine::run_request(Request & request, const TaskContext & context) {
    RequestError failure;
    try {
        if (std::holds_alternative<GenerateParams>(request.params)) {
            run_generate(request, context);
        } else {
            run_encode(request, context);
        }
        return;
    } catch (const Error & error) {
        failure = {error.code(), error.message(), error.detail()};
    } catch (const std::bad_alloc &) {
        failure = {"OUT_OF_MEMORY", "There was not enough memory for this request. Use smaller pictures.", ""};
    } catch (const std::exception & error) {
        failure = {"INTERNAL", error.what(), ""};
    }
    context.emit({request.id, std::move(failure)});
}

std::shared_ptr<Request> Engine::next_request() {
    std::unique_lock<std::mutex> lock(mutex_);
    active_.reset();
    changed_.wait(lock, [this] { return closing_ || !queue_.empty(); });
    if (closing_) {
        return nullptr;
    }
    active_ = queue_.front();
    queue_.pop_front();
    return active_;
}

void Engine::wait_for_reader(Request & request) {
    if (request.unread < kMostUnread) {
        return;
    }
    std::unique_lock<std::mutex> lock(mutex_);
    // Who waits in the queue must not depend on the reader of another answer: two streams that are read one after the
    // other would wait for each other. What is then produced ahead is bounded by the context.
    changed_.wait(lock,
                  [&] { return request.unread < kMostUnread || request.cancelled || closing_ || !queue_.empty(); });
}

EngineInfo Engine::info(const Decoder & decoder, const Vision * vision, int threads) const {
    const auto model = this->model();
    EngineInfo info{};
    info.context_size = decoder.context_size();
    info.train_context_size = llama_model_n_ctx_train(model->get());
    info.vocab_size = llama_vocab_n_tokens(model->vocab());
    info.embedding_width = model->embedding_width();
    info.uses_mrope = model->uses_mrope();
    info.has_vision = vision != nullptr;
    info.end_tokens = model->end_tokens();
    for (const int32_t id : model->control_tokens()) {
        info.control_tokens.push_back({id, llama_vocab_get_text(model->vocab(), id)});
    }
    std::string device = "CPU";
    if (params_.gpu_layers != 0) {
        for (const auto & candidate : list_devices()) {
            if (candidate.kind == "gpu" || (candidate.kind == "igpu" && device == "CPU")) {
                device = candidate.description;
                break;
            }
        }
    }
    info.decoder_device = device;
    info.encoder_device = vision != nullptr ? device : "";
    info.encoder_weights = vision != nullptr ? vision->weight_type() : "";
    info.threads = threads;
    info.model_bytes = llama_model_size(model->get());
    info.parameters = llama_model_n_params(model->get());
    char description[128] = {};
    llama_model_desc(model->get(), description, sizeof(description));
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
