// Tells of the first thing that goes wrong with a cache on a disk: the next ones are mostly the same. For one thread.
#pragma once

#include "error.h"

#include <exception>
#include <functional>
#include <utility>

namespace qvl {

class FirstWarning {
  public:
    explicit FirstWarning(std::function<void(const Error &)> tell) : tell_(std::move(tell)) {}

    void operator()(const std::exception & error) {
        if (!std::exchange(told_, true)) {
            const auto * known = dynamic_cast<const Error *>(&error);
            tell_(known != nullptr ? *known : Error("CACHE_UNWRITABLE", error.what()));
        }
    }

  private:
    const std::function<void(const Error &)> tell_;
    bool told_ = false;
};

}  // namespace qvl
