// Why llama.cpp did not load a file.
#pragma once

#include "error.h"

#include <string>

namespace qvl {

// OUT_OF_MEMORY if the log says so, else MODEL_LOAD_FAILED with `otherwise`, what to do then.
Error refusal(const std::string & path, const std::string & otherwise, const std::string & log);

}  // namespace qvl
