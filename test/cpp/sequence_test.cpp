#include "sequence.h"

#include "check.h"

using namespace qvl;

namespace {

TextSegment text(std::vector<int32_t> tokens, int32_t position) {
    return {std::move(tokens), position};
}

// A picture of 2 × 3 rows at temporal position 2: t = 2, h = 2..3, w = 2..4.
ImageSegment picture(const std::string & hash) {
    ImageSegment image;
    image.hash = hash;
    image.count = 6;
    image.positions = {2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 2, 3, 4, 2, 3, 4};
    return image;
}

std::vector<Segment> conversation(const std::string & hash, int32_t last) {
    return {text({10, 11}, 0), picture(hash), text({12, last}, 5)};
}

Sequence stored(const std::vector<Segment> & segments) {
    Sequence sequence;
    for (const auto & item : Sequence::flatten(segments)) {
        sequence.append(item);
    }
    return sequence;
}

}  // namespace

TEST(a_prompt_becomes_tokens_and_whole_pictures) {
    const auto items = Sequence::flatten(conversation("a", 13));
    CHECK_EQ(items.size(), 5u);
    CHECK_EQ(items[1].token, 11);
    CHECK_EQ(items[1].position, 1);
    CHECK_EQ(items[2].token, -1);
    CHECK_EQ(items[2].media, "a");
    CHECK_EQ(items[2].cells, 6);
    CHECK_EQ(items[2].position, 2);
    CHECK_EQ(items[2].segment, 1u);
    CHECK_EQ(items[4].position, 6);
    CHECK_EQ(items[4].offset, 1u);
}

TEST(cells_are_counted_not_positions) {
    const Sequence sequence = stored(conversation("a", 13));
    CHECK_EQ(sequence.cells(), 10);
    CHECK_EQ(sequence.cells(3), 8);
}

TEST(the_common_prefix_ends_at_the_first_other_token) {
    const Sequence sequence = stored(conversation("a", 13));
    CHECK_EQ(sequence.common_prefix(Sequence::flatten(conversation("a", 13))), 5u);
    CHECK_EQ(sequence.common_prefix(Sequence::flatten(conversation("a", 99))), 4u);
    CHECK_EQ(sequence.common_prefix(Sequence::flatten({text({10}, 0)})), 1u);
    CHECK_EQ(sequence.common_prefix({}), 0u);
    CHECK_EQ(Sequence().common_prefix(Sequence::flatten(conversation("a", 13))), 0u);
}

TEST(another_picture_ends_the_prefix_before_it) {
    const Sequence sequence = stored(conversation("a", 13));
    CHECK_EQ(sequence.common_prefix(Sequence::flatten(conversation("b", 13))), 2u);
}

TEST(the_same_token_at_another_position_is_another_item) {
    const Sequence sequence = stored({text({10, 11}, 0)});
    CHECK_EQ(sequence.common_prefix(Sequence::flatten({text({10}, 0), text({11}, 7)})), 1u);
}

TEST(truncated_items_are_forgotten) {
    Sequence sequence = stored(conversation("a", 13));
    sequence.truncate_from(sequence.position(2));
    CHECK_EQ(sequence.size(), 2u);
    CHECK_EQ(sequence.cells(), 2);
    CHECK_EQ(sequence.common_prefix(Sequence::flatten(conversation("a", 13))), 2u);
}

// Pairs of frames at the same position in time can only be dropped together: the KV memory is cut by time.
TEST(items_at_one_position_are_forgotten_together) {
    Sequence sequence = stored({text({10}, 0), picture("a"), picture("b")});
    sequence.truncate_from(sequence.position(2));
    CHECK_EQ(sequence.size(), 1u);
}

int main() {
    return check::run();
}
