#include "encoder.h"

#include <algorithm>
#include <new>

namespace qvl {

namespace {

bool same_picture(const ImageSegment & a, const ImageSegment & b) {
    return !a.hash.empty() && a.hash == b.hash && a.frames == b.frames && a.width == b.width && a.height == b.height;
}

}  // namespace

Encoder::Encoder(Vision & vision, EmbeddingCache & cache, Baton * baton, std::function<void()> done,
                 LogListener::Heard log)
    : vision_(vision), cache_(cache), baton_(baton), done_(std::move(done)), log_(std::move(log)),
      thread_("qvl-encoder", [this] { run(); }) {}

Encoder::~Encoder() {
    stop();
    thread_.join();
}

std::shared_ptr<Encoding> Encoder::obtain(std::shared_ptr<const Request> owner, const ImageSegment & image,
                                          int priority, bool & joined) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto same = std::find_if(queue_.begin(), queue_.end(), [&](const auto & each) {
        return each->wanted > 0 && same_picture(*each->image, image);
    });
    joined = same != queue_.end();
    if (joined) {
        auto encoding = *same;
        encoding->wanted++;
        encoding->keep = std::max(encoding->keep, image.cache);
        hurry(encoding, priority);
        return encoding;
    }
    auto encoding = std::make_shared<Encoding>();
    encoding->priority = priority;
    encoding->owner = std::move(owner);
    encoding->image = &image;
    encoding->wanted = 1;
    encoding->keep = image.cache;
    enqueue(encoding);
    changed_.notify_all();
    return encoding;
}

void Encoder::raise(const std::shared_ptr<Encoding> & encoding, int priority) {
    const std::lock_guard<std::mutex> lock(mutex_);
    hurry(encoding, priority);
}

void Encoder::hurry(const std::shared_ptr<Encoding> & encoding, int priority) {
    if (priority <= encoding->priority) {
        return;
    }
    encoding->priority = priority;
    const auto place = std::find(queue_.begin(), queue_.end(), encoding);
    if (place != queue_.end() && place != queue_.begin()) {
        queue_.erase(place);
        enqueue(encoding);
    }
}

// Behind those of the same priority; never before the first, which is being encoded.
void Encoder::enqueue(std::shared_ptr<Encoding> encoding) {
    const auto later = std::find_if(queue_.empty() ? queue_.end() : queue_.begin() + 1, queue_.end(),
                                    [&](const auto & other) { return other->priority < encoding->priority; });
    queue_.insert(later, std::move(encoding));
}

void Encoder::drop(const std::shared_ptr<Encoding> & encoding) {
    const std::lock_guard<std::mutex> lock(mutex_);
    encoding->wanted--;
}

void Encoder::stop() {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
}

bool Encoder::wanted(const Encoding & encoding) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return !stopping_ && encoding.wanted > 0;
}

Keep Encoder::wanted_place(const Encoding & encoding) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return encoding.keep;
}

void Encoder::run() {
    const LogListener listener(log_);
    const LogTail last_words;  // for the abort callback of ggml
    for (;;) {
        std::shared_ptr<Encoding> encoding;
        {
            std::unique_lock<std::mutex> lock(mutex_);
            changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
            if (stopping_) {
                return;
            }
            encoding = queue_.front();
        }
        if (wanted(*encoding) && !find(*encoding)) {
            encode(*encoding);
        }
        // Before it leaves the queue: whoever comes in between finds it in the one or in the other.
        if (encoding->rows && encoding->source == Source::encoder) {
            keep(*encoding);
        }
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            queue_.pop_front();
            encoding->owner.reset();
            encoding->image = nullptr;
        }
        encoding->done = true;
        done_();
    }
}

// May read a file; whoever decodes need not wait for that.
bool Encoder::find(Encoding & encoding) {
    const ImageSegment & image = *encoding.image;
    const size_t values = static_cast<size_t>(image.count) * static_cast<size_t>(vision_.embedding_width());
    try {
        if (const auto found = cache_.find(image.hash, values, image.cache)) {
            encoding.rows = found->rows;
            encoding.source = found->on_disk ? Source::disk : Source::memory;
        }
    } catch (const std::bad_alloc &) {  // the cache only saves time
    }
    return encoding.rows != nullptr;
}

void Encoder::keep(const Encoding & encoding) {
    try {
        cache_.keep(encoding.image->hash, encoding.rows, wanted_place(encoding));
    } catch (const std::bad_alloc &) {  // likewise
    }
}

void Encoder::encode(Encoding & encoding) {
    const auto start = Clock::now();
    const Baton::Turn turn(baton_, Baton::kEncoder);
    try {
        encoding.rows = std::make_shared<const std::vector<float>>(vision_.encode(*encoding.image, [&] {
            if (baton_ != nullptr) {
                baton_->offer();
            }
            return wanted(encoding);
        }));
    } catch (const Error & error) {
        encoding.error = error;
    } catch (const std::bad_alloc &) {
        encoding.error =
            Error("OUT_OF_MEMORY", "There was not enough memory to encode a picture. Lower its `maxPixels`.");
    } catch (const std::exception & error) {
        encoding.error = Error("INTERNAL", error.what());
    }
    encoding.encode_ms = milliseconds_since(start);
}

}  // namespace qvl
