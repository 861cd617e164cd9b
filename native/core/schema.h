// JSON Schema → GBNF, by llama.cpp's converter.
#pragma once

#include <string>

namespace qvl {

// A grammar with a rule `root` for the JSON values that `schema`, a JSON text, describes. Keywords that a grammar cannot
// express are left out: the value has to be checked all the same. The caller bounds depth and sizes.
// Throws Error INVALID_ARGUMENT if `schema` is no schema.
std::string schema_to_grammar(const std::string & schema);

}  // namespace qvl
