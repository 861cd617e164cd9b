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

TEST(what_repeats_three_tokens_is_followed_as_they_were) {
    CHECK(reading({1, 2, 3, 4, 5, 6, 7, 9, 1, 2, 3}).guess(9) == (Tokens{4, 5}));
    CHECK(reading({1, 2, 3, 4, 5, 6, 7, 9, 1, 2, 3}).guess(1) == (Tokens{4}));
}

TEST(the_longer_it_repeats_the_more_is_guessed) {
    CHECK(reading({1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4}).guess(9) == (Tokens{5, 6, 7}));
    CHECK(reading({1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5}).guess(9) == (Tokens{6, 7, 8, 9}));
    CHECK_EQ(reading({1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6}).guess(9).size(), 4u);  // most
}

TEST(the_latest_place_counts_until_another_is_followed) {
    CHECK_EQ(reading({1, 2, 3, 4, 1, 2, 3, 5, 1, 2, 3}).guess(1).front(), 5);
    // 2 3 4 stands twice; the one behind 1 is followed.
    CHECK_EQ(reading({1, 9, 2, 3, 4, 5, 8, 2, 3, 4, 6, 1, 9, 2, 3, 4}).guess(1).front(), 5);
}

TEST(what_is_new_is_not_guessed) {
    CHECK(reading({}).guess(4).empty());
    CHECK(reading({1, 2}).guess(4).empty());
    CHECK(reading({1, 2, 3, 4, 5, 2, 3}).guess(4).empty());
    CHECK(reading({1, 2, 3, 4, 1, 2, 3, 9}).guess(4).empty());
    CHECK(reading({1, 2, 3, 4, 1, 2, 3}).guess(0).empty());
}

TEST(a_text_that_repeats_itself_goes_on_repeating_itself) {
    CHECK(reading({1, 2, 1, 2, 1, 2, 1}).guess(9) == (Tokens{2, 1, 2, 1}));
    CHECK(reading({7, 7, 7, 7, 7, 7}).guess(9) == (Tokens{7, 7, 7, 7}));
}

TEST(a_picture_is_neither_guessed_nor_crossed) {
    CHECK(reading({1, 2, 3, 4, -1, 6, 1, 2, 3}).guess(9) == (Tokens{4}));
    CHECK(reading({1, 2, 3, -1, 4, 5, 1, 2, 3}).guess(9).empty());
    CHECK(reading({1, 2, 3, -1, 4, 5, 1, 2, 3, -1}).guess(9).empty());
    CHECK(reading({1, -1, 3, 4, 5, 1, -1, 3}).guess(9).empty());
}

int main() {
    return check::run();
}
