// Turns token pieces into text that may be shown: whole UTF-8 sequences only, nothing of a stop string.
#pragma once

#include <string>
#include <vector>

namespace qvl {

class TextOutput {
  public:
    explicit TextOutput(std::vector<std::string> stop) : stop_(std::move(stop)) {}

    // Adds the bytes of a token; returns what can be shown now. After a stop string `stopped()` is true and nothing of
    // it was shown.
    std::string push(const std::string & piece);
    // The held back rest. An unfinished UTF-8 sequence becomes U+FFFD; of an answer that was cut off it is left out, for it
    // is no fault of the model.
    std::string finish(bool cut = false);
    bool stopped() const { return stopped_; }

  private:
    std::vector<std::string> stop_;
    std::string held_;
    bool stopped_ = false;
};

}  // namespace qvl
