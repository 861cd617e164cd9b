#include "schema.h"

#include "error.h"

#include "json-schema-to-grammar.h"

#include <vector>

// What the converter takes of llama-common's common.cpp, which would bring sixty more files.
std::string string_join(const std::vector<std::string> & values, const std::string & separator) {
    std::string joined;
    for (size_t i = 0; i < values.size(); i++) {
        joined += (i > 0 ? separator : "") + values[i];
    }
    return joined;
}

std::vector<std::string> string_split(const std::string & text, const std::string & delimiter) {
    std::vector<std::string> parts;
    size_t start = 0;
    for (size_t end; (end = text.find(delimiter, start)) != std::string::npos; start = end + delimiter.size()) {
        parts.push_back(text.substr(start, end - start));
    }
    parts.push_back(text.substr(start));
    return parts;
}

std::string string_repeat(const std::string & text, size_t n) {
    std::string repeated;
    for (; n > 0; n--) {
        repeated += text;
    }
    return repeated;
}

namespace qvl {

std::string schema_to_grammar(const std::string & schema) {
    try {
        return json_schema_to_grammar(common_json::parse(schema), true);
    } catch (const std::exception & error) {
        throw Error("INVALID_ARGUMENT", error.what());
    }
}

}  // namespace qvl
