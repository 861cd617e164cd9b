// In which order pictures are encoded, and for whom.
#include "encoder.h"

#include "running_engine.h"

namespace {

// An encoder that begins when it is let, and tells in which order it ended.
class Waiting {
  public:
    void obtain(const char * hash, int priority) {
        ImageSegment image = picture();
        image.hash = hash;
        const auto owner = std::make_shared<const Request>(0, EncodeParams{image}, priority);
        bool joined = false;
        const auto encoding = encoder_.obtain(owner, std::get<EncodeParams>(owner->params).image, priority, joined);
        if (!joined) {
            left_.emplace_back(hash, encoding);
        }
    }
    void raise(const char * hash, int priority) {
        const auto found =
            std::find_if(left_.begin(), left_.end(), [&](const auto & each) { return each.first == hash; });
        encoder_.raise(found->second, priority);
    }
    std::vector<std::string> order() {
        const size_t all = left_.size();
        pause_.reset();
        std::unique_lock<std::mutex> lock(mutex_);
        CHECK(changed_.wait_for(lock, std::chrono::seconds(30), [&] { return ended_.size() == all; }));
        return ended_;
    }

  private:
    void note_ended() {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto ended =
            std::find_if(left_.begin(), left_.end(), [](const auto & each) { return each.second->done.load(); });
        ended_.push_back(ended->first);
        left_.erase(ended);
        changed_.notify_all();
    }

    const ProgressCallback go_on_ = [](float) { return true; };
    const std::shared_ptr<const Model> model_ = std::make_shared<const Model>(params(), go_on_);
    Vision vision_{params(), *model_, 1, go_on_};
    EmbeddingCache cache_{{}, "", [](const Error &) {}};
    Baton baton_;
    std::optional<Baton::Turn> pause_{std::in_place, &baton_, Baton::kDecoder};
    std::vector<std::pair<std::string, std::shared_ptr<Encoding>>> left_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::string> ended_;
    Encoder encoder_{vision_, cache_, &baton_, [this] { note_ended(); }, {}};
};

}  // namespace

TEST(pictures_are_encoded_in_the_order_of_their_coming) {
    Waiting waiting;
    waiting.obtain("first", 0);
    waiting.obtain("second", 0);
    waiting.obtain("third", 0);
    CHECK(waiting.order() == (std::vector<std::string>{"first", "second", "third"}));
}

TEST(those_of_a_higher_priority_go_before) {
    Waiting waiting;
    waiting.obtain("begun", -5);
    waiting.obtain("lower", -1);
    waiting.obtain("usual", 0);
    waiting.obtain("higher", 1);
    waiting.obtain("higher too", 1);
    CHECK(waiting.order() == (std::vector<std::string>{"begun", "higher", "higher too", "usual", "lower"}));
}

TEST(a_picture_has_the_highest_priority_of_those_who_want_it) {
    Waiting waiting;
    waiting.obtain("begun", 0);
    waiting.obtain("usual", 0);
    waiting.obtain("wanted", -1);
    waiting.obtain("wanted", 1);
    waiting.obtain("wanted", -2);
    waiting.obtain("begun", 2);
    CHECK(waiting.order() == (std::vector<std::string>{"begun", "wanted", "usual"}));
}

TEST(one_that_somebody_urgent_comes_to_wait_for_goes_before) {
    Waiting waiting;
    waiting.obtain("begun", 0);
    waiting.obtain("usual", 0);
    waiting.obtain("shared", -1);
    waiting.raise("shared", 1);
    waiting.raise("usual", -1);
    waiting.raise("begun", 3);
    CHECK(waiting.order() == (std::vector<std::string>{"begun", "shared", "usual"}));
}

int main() {
    load_backends("");
    return check::run();
}
