#include "text_output.h"

#include "check.h"

using qvl::TextOutput;

namespace {

const std::string kReplacement = "\xEF\xBF\xBD";

// What is shown of `pieces`, step by step, the end after a '|'.
std::string shown(const std::vector<std::string> & stop, const std::vector<std::string> & pieces) {
    TextOutput output(stop);
    std::string all;
    for (const auto & piece : pieces) {
        all += output.push(piece) + ",";
    }
    return all + "|" + output.finish();
}

}  // namespace

TEST(plain_text_passes_at_once) {
    CHECK_EQ(shown({}, {"a", "bc", ""}), "a,bc,,|");
}

TEST(a_character_waits_for_its_last_byte) {
    CHECK_EQ(shown({}, {"\xE2", "\x82", "\xAC!"}), ",,\xE2\x82\xAC!,|");
    CHECK_EQ(shown({}, {"x\xF0\x9F", "\x98\x80"}), "x,\xF0\x9F\x98\x80,|");
}

TEST(an_unfinished_character_at_the_end_becomes_one_replacement) {
    CHECK_EQ(shown({}, {"a\xF0\x9F\x98"}), "a,|" + kReplacement);
}

TEST(of_an_answer_that_was_cut_off_an_unfinished_character_is_left_out) {
    TextOutput output({});
    CHECK_EQ(output.push("a\xF0\x9F\x98"), "a");
    CHECK_EQ(output.finish(true), "");
    TextOutput held({"END"});
    CHECK_EQ(held.push("E\xE2\x82"), "E");
    CHECK_EQ(held.finish(true), "");
    TextOutput stop({"END"});
    CHECK_EQ(stop.push("EN"), "");
    CHECK_EQ(stop.finish(true), "EN");
}

// As the WHATWG decoder: one U+FFFD for each maximal ill-formed part.
TEST(ill_formed_bytes_become_replacements) {
    CHECK_EQ(shown({}, {"\xFF"
                        "a"}),
             kReplacement + "a,|");
    CHECK_EQ(shown({}, {"\x80"}), kReplacement + ",|");
    CHECK_EQ(shown({}, {"\xC0\xAF"}), kReplacement + kReplacement + ",|");  // overlong '/'
    CHECK_EQ(shown({}, {"\xE2\x82", "a"}), "," + kReplacement + "a,|");     // cut by another character
    CHECK_EQ(shown({}, {"\xED\xA0\x80"}), kReplacement + kReplacement + kReplacement + ",|");  // a surrogate
    CHECK_EQ(shown({}, {"\xF4\x90\x80\x80"}),
             kReplacement + kReplacement + kReplacement + kReplacement + ",|");  // above U+10FFFF
}

TEST(nul_is_a_character) {
    CHECK_EQ(shown({}, {std::string("a\0b", 3)}), std::string("a\0b,|", 5));
}

TEST(nothing_of_a_stop_string_is_shown) {
    TextOutput output({"END"});
    CHECK_EQ(output.push("one E"), "one ");
    CHECK_EQ(output.push("N"), "");
    CHECK(!output.stopped());
    CHECK_EQ(output.push("D two"), "");
    CHECK(output.stopped());
    CHECK_EQ(output.push("more"), "");
    CHECK_EQ(output.finish(), "");
}

TEST(a_false_beginning_of_a_stop_string_is_shown_later) {
    CHECK_EQ(shown({"END"}, {"E", "N", "E", "ND"}), ",,EN,,|");
    CHECK_EQ(shown({"END"}, {"E", "N"}), ",,|EN");
    CHECK_EQ(shown({"aab"}, {"a", "a", "a", "b"}), ",,a,,|");
}

TEST(the_first_of_several_stop_strings_ends_the_text) {
    CHECK_EQ(shown({"\n\n", "stop"}, {"a stop\n\n"}), "a ,|");
    CHECK_EQ(shown({"stop", "to"}, {"a stop"}), "a ,|");
    CHECK_EQ(shown({"bcd", "c"}, {"ab", "c"}), "a,b,|");
}

TEST(a_stop_string_may_be_cut_inside_a_character) {
    CHECK_EQ(shown({"\xE2\x82\xAC"}, {"5\xE2", "\x82", "\xAC"}), "5,,,|");
    CHECK_EQ(shown({"\xE2\x82\xAC"}, {"5\xE2", "\x84\xA2"}), "5,\xE2\x84\xA2,|");
}

TEST(an_unfinished_character_before_a_stop_string_is_replaced) {
    CHECK_EQ(shown({"!"}, {"\xE2\x82", "!"}), "," + kReplacement + ",|");
}

int main() {
    return check::run();
}
