#include "encoder.h"

#include <algorithm>
#include <new>

namespace qvl {

namespace {

bool same_picture(const ImageSegment & a, const ImageSegment & b) {
    return !a.hash.empty() && a.hash == b.hash && a.frames == b.frames && a.width == b.width && a.height == b.height;
}

}  // namespace

Encoder::Encoder(Vision & vision, Baton * baton, std::function<void()> done)
    : vision_(vision), baton_(baton), done_(std::move(done)), thread_("qvl-encoder", [this] { run(); }) {}

Encoder::~Encoder() {
    stop();
    thread_.join();
}

std::shared_ptr<Encoding> Encoder::obtain(std::shared_ptr<const Request> owner, const ImageSegment & image,
                                          bool & joined) {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const auto & running : queue_) {
        if (running->wanted > 0 && same_picture(*running->image, image)) {
            running->wanted++;
            joined = true;
            return running;
        }
    }
    auto encoding = std::make_shared<Encoding>();
    encoding->owner = std::move(owner);
    encoding->image = &image;
    encoding->wanted = 1;
    queue_.push_back(encoding);
    changed_.notify_all();
    joined = false;
    return encoding;
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

void Encoder::run() {
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
        if (wanted(*encoding)) {
            encode(*encoding);
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

void Encoder::encode(Encoding & encoding) {
    const auto start = Clock::now();
    const Baton::Turn turn(baton_, Baton::kEncoder);
    try {
        encoding.rows = vision_.encode(*encoding.image, [&] {
            if (baton_ != nullptr) {
                baton_->offer();
            }
            return wanted(encoding);
        });
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
