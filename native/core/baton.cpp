#include "baton.h"

namespace qvl {

Baton::Turn::Turn(Baton * baton, Side side) : baton_(baton), side_(side) {
    if (baton_ != nullptr) {
        baton_->take(side_);
    }
}

Baton::Turn::~Turn() {
    if (baton_ != nullptr) {
        baton_->give(side_);
    }
}

void Baton::offer() {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (!waiting_[kDecoder] || Time::now() - taken_ < decoding_) {
            return;
        }
    }
    give(kEncoder);
    take(kEncoder);
}

void Baton::take(Side side) {
    const Side other = side == kDecoder ? kEncoder : kDecoder;
    std::unique_lock<std::mutex> lock(mutex_);
    waiting_[side] = true;
    changed_.wait(lock, [&] { return !held_ && !(waiting_[other] && next_ == other); });
    waiting_[side] = false;
    held_ = true;
    taken_ = Time::now();
}

void Baton::give(Side side) {
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        held_ = false;
        next_ = side == kDecoder ? kEncoder : kDecoder;
        if (side == kDecoder) {
            decoding_ = Time::now() - taken_;
        }
    }
    changed_.notify_all();
}

}  // namespace qvl
