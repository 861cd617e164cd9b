// The one exception type that leaves the core. Codes are the names of lib/errors.ts.
#pragma once

#include <exception>
#include <string>
#include <utility>

namespace qvl {

class Error : public std::exception {
  public:
    Error(std::string code, std::string message, std::string detail = {})
        : code_(std::move(code)), message_(std::move(message)), detail_(std::move(detail)) {}

    const char * what() const noexcept override { return message_.c_str(); }
    const std::string & code() const { return code_; }
    const std::string & message() const { return message_; }
    // The last lines that the upstream libraries logged, or empty.
    const std::string & detail() const { return detail_; }

  private:
    std::string code_;
    std::string message_;
    std::string detail_;
};

}  // namespace qvl
