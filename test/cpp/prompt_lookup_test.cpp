#include "prompt_lookup.h"

#include "check.h"

using namespace qvl;

using Tokens = std::vector<int32_t>;

namespace {

PromptLookup reading(const Tokens & tokens, size_t most = 4) {
    PromptLookup lookup(most);
    for (const int32_t token : tokens) {
        lookup.push(token);
    }
    return lookup;
}

}  // namespace

TEST(three_tokens_that_were_there_before_are_followed_as_they_were) {
    CHECK(reading({1, 2, 3, 4, 5, 6, 7, 9, 1, 2, 3}).guess(9) == (Tokens{4, 5, 6, 7}));
    CHECK(reading({1, 2, 3, 4, 5, 6, 7, 9, 1, 2, 3}).guess(2) == (Tokens{4, 5}));
}

TEST(the_latest_place_counts) {
    CHECK_EQ(reading({1, 2, 3, 4, 1, 2, 3, 5, 1, 2, 3}).guess(1).front(), 5);
}

TEST(what_is_new_is_not_guessed) {
    CHECK(reading({}).guess(4).empty());
    CHECK(reading({1, 2}).guess(4).empty());
    CHECK(reading({1, 2, 3, 4, 5, 2, 3}).guess(4).empty());
    CHECK(reading({1, 2, 3, 4, 1, 2, 3}).guess(0).empty());
}

TEST(a_text_that_repeats_itself_goes_on_repeating_itself) {
    CHECK(reading({1, 2, 1, 2, 1}).guess(9) == (Tokens{2, 1, 2, 1}));
    CHECK(reading({7, 7, 7, 7}).guess(9) == (Tokens{7, 7, 7, 7}));
}

TEST(a_picture_is_neither_guessed_nor_crossed) {
    CHECK(reading({1, 2, 3, 4, -1, 6, 1, 2, 3}).guess(9) == (Tokens{4}));
    CHECK(reading({1, 2, 3, -1, 4, 5, 1, 2, 3}).guess(9).empty());
    CHECK(reading({1, -1, 3, 4, 5, 1, -1, 3}).guess(9).empty());
}

TEST(wrong_guesses_make_the_next_ones_shorter_until_they_are_right) {
    auto lookup = reading({7, 7, 7, 7}, 8);
    const auto length = [&] { return lookup.guess(99).size(); };
    CHECK_EQ(length(), 8u);
    lookup.judge(8, 3);
    CHECK_EQ(length(), 3u);
    lookup.judge(3, 0);
    CHECK_EQ(length(), 1u);
    lookup.judge(1, 1);
    lookup.judge(2, 2);
    CHECK_EQ(length(), 4u);
    lookup.judge(4, 4);
    lookup.judge(8, 8);
    CHECK_EQ(length(), 8u);
}

int main() {
    return check::run();
}
