#include "request_queue.h"

#include <algorithm>

namespace qvl {

void RequestQueue::push(std::shared_ptr<Request> request) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto later = std::find_if(waiting_.begin(), waiting_.end(),
                                    [&](const auto & other) { return other->priority < request->priority; });
    waiting_.insert(later, std::move(request));
}

std::shared_ptr<Request> RequestQueue::remove(int64_t id) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found =
        std::find_if(waiting_.begin(), waiting_.end(), [id](const auto & request) { return request->id == id; });
    if (found == waiting_.end()) {
        return nullptr;
    }
    auto request = *found;
    waiting_.erase(found);
    return request;
}

std::shared_ptr<Request> RequestQueue::take(int priority) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = std::find_if(waiting_.begin(), waiting_.end(), [](const auto & request) {
        return std::holds_alternative<GenerateParams>(request->params);
    });
    if (found == waiting_.end() || (*found)->priority < priority) {
        return nullptr;
    }
    auto request = *found;
    waiting_.erase(found);
    return request;
}

std::vector<std::shared_ptr<Request>> RequestQueue::take_encodes() {
    return take_all([](const RequestParams & params) { return std::holds_alternative<EncodeParams>(params); });
}

std::vector<std::shared_ptr<Request>> RequestQueue::take_states() {
    return take_all([](const RequestParams & params) {
        return std::holds_alternative<SaveStateParams>(params) || std::holds_alternative<RestoreStateParams>(params);
    });
}

std::vector<std::shared_ptr<Request>> RequestQueue::take_all() {
    return take_all([](const RequestParams &) { return true; });
}

std::vector<std::shared_ptr<Request>> RequestQueue::take_all(bool (*wanted)(const RequestParams &)) {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::vector<std::shared_ptr<Request>> taken;
    for (auto each = waiting_.begin(); each != waiting_.end();) {
        if (wanted((*each)->params)) {
            taken.push_back(*each);
            each = waiting_.erase(each);
        } else {
            ++each;
        }
    }
    return taken;
}

bool RequestQueue::empty() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return waiting_.empty();
}

size_t RequestQueue::size() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return waiting_.size();
}

}  // namespace qvl
