// Requests that want a picture encoded and nothing else: they need no sequence. Used by the engine thread only.
#pragma once

#include "encoder.h"
#include "event.h"
#include "request_queue.h"

#include <memory>
#include <vector>

namespace qvl {

class PictureRequests {
  public:
    PictureRequests(Encoder * encoder, const EventSink & emit) : encoder_(encoder), emit_(emit) {}

    // Begins those that wait in `queue`, ends those whose picture is there and those that were cancelled.
    void serve(RequestQueue & queue);
    // Ends all as cancelled.
    void finish();

  private:
    struct PictureRequest {
        std::shared_ptr<Request> request;
        std::shared_ptr<Encoding> encoding;
    };

    Encoder * encoder_;  // nullptr: no projector
    const EventSink & emit_;
    std::vector<PictureRequest> requests_;
};

}  // namespace qvl
