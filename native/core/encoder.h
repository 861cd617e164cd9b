// The vision encoder on a thread of its own, with its cache: the one place that the rows of a picture come from. Requests
// that want the same picture at the same time share its encoding.
#pragma once

#include "baton.h"
#include "embedding_cache.h"
#include "error.h"
#include "event.h"
#include "log.h"
#include "request.h"
#include "thread.h"
#include "vision.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace qvl {

// One picture on its way. The other fields may be read once `done`.
struct Encoding {
    std::atomic<bool> done{false};
    SharedRows rows;
    Source source = Source::encoder;
    std::optional<Error> error;
    double encode_ms = 0;

  private:
    friend class Encoder;
    std::shared_ptr<const Request> owner;  // of the pixels
    const ImageSegment * image = nullptr;
    int wanted = 0;          // by so many requests
    int priority = 0;        // the highest of theirs
    Keep keep = Keep::none;  // the most that one of them asked for
};

class Encoder {
  public:
    // `baton`: nullptr where encoder and decoder may compute at the same time. `done` is called from the encoder's
    // thread after every picture.
    Encoder(Vision & vision, EmbeddingCache & cache, Baton * baton, std::function<void()> done, LogListener::Heard log);
    ~Encoder();

    // Begins, or joins, the encoding of a picture of `owner`. `joined`: it was begun for another request.
    std::shared_ptr<Encoding> obtain(std::shared_ptr<const Request> owner, const ImageSegment & image, int priority,
                                     bool & joined);
    // One of a higher priority waits for it.
    void raise(const std::shared_ptr<Encoding> & encoding, int priority);
    // One who wanted it does not any more: what nobody wants stops after the current operation.
    void drop(const std::shared_ptr<Encoding> & encoding);
    // Stops the current picture and takes no other.
    void stop();

  private:
    void hurry(const std::shared_ptr<Encoding> & encoding, int priority);
    void enqueue(std::shared_ptr<Encoding> encoding);
    void run();
    bool find(Encoding & encoding);
    void keep(const Encoding & encoding);
    void encode(Encoding & encoding);
    bool wanted(const Encoding & encoding);
    Keep wanted_place(const Encoding & encoding);

    Vision & vision_;
    EmbeddingCache & cache_;
    Baton * baton_;
    const std::function<void()> done_;
    const LogListener::Heard log_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::shared_ptr<Encoding>> queue_;  // the first is being encoded
    bool stopping_ = false;
    Thread thread_;
};

}  // namespace qvl
