#include "schema.h"

#include "check.h"
#include "error.h"

using namespace qvl;

namespace {

bool contains(const std::string & text, const std::string & part) {
    return text.find(part) != std::string::npos;
}

std::string refusal(const std::string & schema) {
    try {
        schema_to_grammar(schema);
    } catch (const Error & error) {
        return error.code() + ": " + error.message();
    }
    return "none";
}

}  // namespace

TEST(a_schema_becomes_rules) {
    const auto grammar = schema_to_grammar(
        R"({"type":"object","properties":{"b":{"enum":["x","y"]},"a":{"type":"integer","minimum":3,"maximum":12}},)"
        R"("required":["b"]})");
    CHECK(contains(grammar, "root ::= "));
    CHECK(contains(grammar, R"(b ::= ("\"x\"" | "\"y\""))"));
    CHECK(contains(grammar, R"(a ::= ([3-9] | "1" [0-2]))"));
}

TEST(a_schema_may_refer_to_itself) {
    const auto grammar =
        schema_to_grammar(R"({"$ref":"#/root","root":{"type":"object","properties":{"next":{"$ref":"#/root"}}}})");
    CHECK(contains(grammar, "ref-root-next ::= ref-root"));
}

TEST(names_are_split_and_joined_as_upstream_does) {
    // string_split, string_join and string_repeat are ours.
    const auto grammar =
        schema_to_grammar(R"({"$ref":"#/a/b","a":{"b":{"type":"integer","minimum":100,"maximum":2999}}})");
    CHECK(contains(grammar, "ref-a-b ::= "));
    CHECK(contains(grammar, "[0-9]{2}"));
}

TEST(a_pattern_that_no_grammar_can_express_is_any_string) {
    const auto grammar = schema_to_grammar(R"({"type":"string","pattern":"^(?!a).*$"})");
    CHECK(contains(grammar, "char*"));
}

TEST(what_is_no_schema_is_refused) {
    CHECK(contains(refusal("{"), "INVALID_ARGUMENT: "));
    CHECK(contains(refusal(R"({"type":"foo"})"), "unrecognized type foo"));
    CHECK(contains(refusal(R"({"$ref":"#/nothing"})"), "nothing not found"));
    CHECK(contains(refusal(R"({"type":"string","pattern":"^($"})"), "INVALID_ARGUMENT: "));
}

int main() {
    return check::run();
}
