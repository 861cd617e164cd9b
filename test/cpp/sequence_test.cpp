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

struct Stored {
    explicit Stored(const std::vector<Segment> & segments) {
        for (const auto & item : Sequence::flatten(segments)) {
            sequence.append(item, std::make_shared<Cells>(item.cells, used));
        }
    }
    std::shared_ptr<int32_t> used = std::make_shared<int32_t>(0);
    Sequence sequence;
};

size_t shared(const std::vector<Segment> & a, const std::vector<Segment> & b) {
    return common_prefix(Sequence::flatten(a), Sequence::flatten(b));
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
    const Stored stored(conversation("a", 13));
    CHECK_EQ(stored.sequence.cells(), 10);
    CHECK_EQ(*stored.used, 10);
}

TEST(the_common_prefix_ends_at_the_first_other_token) {
    CHECK_EQ(shared(conversation("a", 13), conversation("a", 13)), 5u);
    CHECK_EQ(shared(conversation("a", 13), conversation("a", 99)), 4u);
    CHECK_EQ(shared(conversation("a", 13), {text({10}, 0)}), 1u);
    CHECK_EQ(shared(conversation("a", 13), {}), 0u);
    CHECK_EQ(shared({}, conversation("a", 13)), 0u);
}

TEST(another_picture_ends_the_prefix_before_it) {
    CHECK_EQ(shared(conversation("a", 13), conversation("b", 13)), 2u);
}

TEST(the_same_token_at_another_position_is_another_item) {
    CHECK_EQ(shared({text({10, 11}, 0)}, {text({10}, 0), text({11}, 7)}), 1u);
}

TEST(truncated_items_are_forgotten) {
    Stored stored(conversation("a", 13));
    stored.sequence.truncate(2);
    CHECK_EQ(stored.sequence.size(), 2u);
    CHECK_EQ(stored.sequence.cells(), 2);
    CHECK_EQ(*stored.used, 2);
}

TEST(shared_cells_count_once_until_nobody_holds_them) {
    Stored stored(conversation("a", 13));
    Sequence branch;
    branch.share(stored.sequence, 3);
    CHECK_EQ(branch.cells(), 8);
    CHECK_EQ(*stored.used, 10);
    stored.sequence.truncate(0);
    CHECK_EQ(*stored.used, 8);
    branch.truncate(1);
    CHECK_EQ(*stored.used, 1);
}

TEST(the_memory_is_cut_by_position) {
    const Sequence sequence = Stored(conversation("a", 13)).sequence;
    CHECK_EQ(sequence.position_after(0), 0);
    CHECK_EQ(sequence.position_after(2), 2);
    CHECK_EQ(sequence.position_after(3), 5);  // behind the picture
    CHECK_EQ(sequence.position_after(5), 7);
    CHECK_EQ(sequence.cut_at(3), 3u);
}

// Pairs of frames at the same position in time can only be dropped together.
TEST(items_at_one_position_are_cut_together) {
    Sequence sequence = Stored({text({10}, 0), picture("a"), picture("b")}).sequence;
    CHECK_EQ(sequence.cut_at(2), 1u);
    CHECK_EQ(sequence.cut_at(3), 3u);
    const int32_t position = sequence.items().back().position;
    sequence.begin_picture(position + 1);
    CHECK_EQ(sequence.cut_at(3), 3u);
    sequence.begin_picture(position);
    CHECK_EQ(sequence.cut_at(3), 1u);
    sequence.truncate(1);
    CHECK(!sequence.in_picture());
}

TEST(ends_of_batches_are_remembered) {
    Stored stored(conversation("a", 13));
    stored.sequence.end_batch();
    CHECK(stored.sequence.batch_ended_at(0));
    CHECK(!stored.sequence.batch_ended_at(4));
    CHECK(stored.sequence.batch_ended_at(5));
    Sequence branch;
    branch.share(stored.sequence, 5);
    CHECK(branch.batch_ended_at(5));
}

int main() {
    return check::run();
}
