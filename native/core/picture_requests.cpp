#include "picture_requests.h"

#include <algorithm>

namespace qvl {

void PictureRequests::serve(RequestQueue & queue) {
    for (auto & request : queue.take_encodes()) {
        if (encoder_ == nullptr) {
            emit_(
                {request->id, RequestError{"PROJECTOR_MISSING",
                                           "The model was loaded without a projector. Pass `mmproj` to load().", ""}});
            continue;
        }
        bool joined = false;
        auto encoding =
            encoder_->obtain(request, std::get<EncodeParams>(request->params).image, request->priority, joined);
        requests_.push_back({std::move(request), std::move(encoding)});
    }
    for (auto & [request, encoding] : requests_) {
        if (!encoding->done && !request->cancelled) {
            continue;
        }
        encoder_->drop(encoding);
        End end;
        end.reason = request->cancelled ? "cancelled" : "stop";
        if (encoding->done && !request->cancelled) {
            if (encoding->error) {
                const Error & error = *encoding->error;
                emit_({request->id, RequestError{error.code(), error.message(), error.detail()}});
                request.reset();
                continue;
            }
            end.timings.encode_ms = encoding->encode_ms;
            emit_({request->id, EmbeddingReady{encoding->rows, encoding->encode_ms}});
        }
        end.timings.queue_ms = std::max(0.0, milliseconds_since(request->submitted) - end.timings.encode_ms);
        emit_({request->id, std::move(end)});
        request.reset();
    }
    requests_.erase(std::remove_if(requests_.begin(), requests_.end(), [](const auto & each) { return !each.request; }),
                    requests_.end());
}

void PictureRequests::finish() {
    for (auto & [request, encoding] : requests_) {
        encoder_->drop(encoding);
        End end;
        end.reason = "cancelled";
        emit_({request->id, std::move(end)});
    }
    requests_.clear();
}

}  // namespace qvl
