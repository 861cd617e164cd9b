// Requests that wait for the engine: by priority, then in the order of their coming. Any thread.
#pragma once

#include "request.h"

#include <list>
#include <memory>
#include <mutex>
#include <vector>

namespace qvl {

class RequestQueue {
  public:
    void push(std::shared_ptr<Request> request);
    // Takes a request out that has not been taken yet; nullptr otherwise.
    std::shared_ptr<Request> remove(int64_t id);
    // Takes the next one that generates and whose priority is at least `priority`, if any.
    std::shared_ptr<Request> take(int priority);
    // Takes everything that only wants a picture encoded: it needs no sequence.
    std::vector<std::shared_ptr<Request>> take_encodes();
    // Takes everything that only wants a computed state kept or restored.
    std::vector<std::shared_ptr<Request>> take_states();
    std::vector<std::shared_ptr<Request>> take_all();
    bool empty() const;
    size_t size() const;

  private:
    std::vector<std::shared_ptr<Request>> take_all(bool (*wanted)(const RequestParams &));

    mutable std::mutex mutex_;
    std::list<std::shared_ptr<Request>> waiting_;  // the next one first
};

}  // namespace qvl
