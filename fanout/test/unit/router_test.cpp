// The router between the tail and several loops.
#include "hub/router.h"

#include <gtest/gtest.h>

#include <utility>

#include "fakes.h"

namespace oasync {
namespace {

struct Port final : LoopPort {
  void PostFollowing(TopicState state) override { followings.push_back(std::move(state)); }
  void PostEvents(std::vector<EventRef> list) override {
    for (auto& event : list) events.push_back(event->topic + std::to_string(event->watermark));
    waiting.insert(waiting.end(), list.begin(), list.end());
  }
  void PostLost(const std::string& topic, uint64_t loss) override {
    lost.push_back(topic);
    losses.push_back(loss);
  }
  // As the loop does when it gets there.
  void TakeAll() { Taken(std::exchange(waiting, {})); }
  std::vector<TopicState> followings;
  std::vector<std::string> events;
  std::vector<std::string> lost;
  std::vector<uint64_t> losses;
  std::vector<EventRef> waiting;
};

class RouterTest : public testing::Test {
 protected:
  FakeSource source;
  Router router{&source};
  Port first;
  Port second;
  TopicFeed& first_feed = router.AddLoop(&first);
  TopicFeed& second_feed = router.AddLoop(&second);
};

TEST_F(RouterTest, AsksTheSourceOnceForAllLoops) {
  first_feed.Follow("t");
  second_feed.Follow("t");
  EXPECT_EQ(source.followed.size(), 1u);
  first_feed.Unfollow("t");
  EXPECT_TRUE(source.unfollowed.empty());
  second_feed.Unfollow("t");
  EXPECT_EQ(source.unfollowed.size(), 1u);
}

TEST_F(RouterTest, BringsEventsOnlyToThoseWhoFollow) {
  first_feed.Follow("a");
  second_feed.Follow("b");
  router.OnFollowing({"a", 0, 0, 1});
  router.OnFollowing({"b", 0, 0, 1});
  router.OnEvents({MakeEvent("a", 1), MakeEvent("b", 1), MakeEvent("c", 1), MakeEvent("a", 2)});
  EXPECT_EQ(first.events, (std::vector<std::string>{"a1", "a2"}));
  EXPECT_EQ(second.events, (std::vector<std::string>{"b1"}));
}

TEST_F(RouterTest, ALaterLoopBeginsWhereTheTailIs) {
  first_feed.Follow("t");
  router.OnFollowing({"t", 5, 2, 1});
  router.OnEvents({MakeEvent("t", 6), MakeEvent("t", 7)});
  second_feed.Follow("t");
  ASSERT_EQ(second.followings.size(), 1u);
  EXPECT_EQ(second.followings[0].head, 7u);
  EXPECT_EQ(second.followings[0].floor, 2u);
  router.OnEvents({MakeEvent("t", 8)});
  EXPECT_EQ(second.events, (std::vector<std::string>{"t8"}));
}

TEST_F(RouterTest, EventsBeforeTheTailSaysWhereItBeginsAreDropped) {
  first_feed.Follow("t");
  router.OnEvents({MakeEvent("t", 6)});
  EXPECT_TRUE(first.events.empty());
  router.OnFollowing({"other", 1, 0, 1});
  EXPECT_TRUE(first.followings.empty());
}

// A loop that stands still beside one that does not.
class QueueLimit : public testing::Test {
 protected:
  void SetUp() override {
    for (TopicFeed* feed : {&slow_feed, &quick_feed}) {
      feed->Follow("a");
      feed->Follow("b");
    }
    router.OnFollowing({"a", 0, 0, 1});
    router.OnFollowing({"b", 0, 0, 1});
  }
  void Events(const std::string& topic, uint64_t first, uint64_t last) {
    for (uint64_t w = first; w <= last; ++w) {
      router.OnEvents({MakeEvent(topic, w)});
      quick.TakeAll();
    }
  }

  FakeSource source;
  Router router{&source};
  Port slow;
  Port quick;
  TopicFeed& slow_feed = router.AddLoop(&slow, {3, 1 << 20});
  TopicFeed& quick_feed = router.AddLoop(&quick, {3, 1 << 20});
};

TEST_F(QueueLimit, ATopicThatDoesNotFitIsLostOnce) {
  Events("a", 1, 100);
  EXPECT_EQ(slow.events, (std::vector<std::string>{"a1", "a2", "a3"}));
  EXPECT_EQ(slow.lost, std::vector<std::string>{"a"});
  EXPECT_EQ(quick.events.size(), 100u);
  EXPECT_TRUE(quick.lost.empty());
  EXPECT_EQ(router.queued_events(), 3u);
  EXPECT_EQ(router.topics_lost(), 1u);
  slow.TakeAll();
  EXPECT_EQ(router.queued_events(), 0u);
  EXPECT_EQ(router.queued_bytes(), 0u);
}

TEST_F(QueueLimit, ItGoesOnWhereItRecovers) {
  Events("a", 1, 10);
  slow.TakeAll();
  Events("a", 11, 12);  // there is room, but what is between would be missing
  EXPECT_EQ(slow.events.size(), 3u);
  const auto state = slow_feed.Recover("a", slow.losses.back());
  ASSERT_TRUE(state.has_value());
  EXPECT_EQ(state->head, 12u);
  Events("a", 13, 13);
  EXPECT_EQ(slow.events.back(), "a13");
  EXPECT_FALSE(slow_feed.Recover("a", slow.losses.back()).has_value());
}

TEST_F(QueueLimit, OtherTopicsAreNotTouchedOnceThereIsRoom) {
  Events("a", 1, 10);
  slow.TakeAll();
  Events("b", 1, 2);
  EXPECT_EQ(slow.events.back(), "b2");
  EXPECT_EQ(slow.lost, std::vector<std::string>{"a"});
}

TEST_F(QueueLimit, ANewStartOfTheTopicMakesItGood) {
  Events("a", 1, 10);
  slow.TakeAll();
  router.OnFollowing({"a", 20, 0, 2});
  EXPECT_FALSE(slow_feed.Recover("a", slow.losses.back()).has_value());
  Events("a", 21, 21);
  EXPECT_EQ(slow.events.back(), "a21");
}

// The loop gets to an old word of a loss when there is a newer one behind it, after a new start of the topic.
TEST_F(QueueLimit, AnOldLossDoesNotRecoverFromANewerOne) {
  Events("a", 1, 10);
  slow.TakeAll();
  router.OnFollowing({"a", 20, 0, 2});
  Events("a", 21, 30);
  slow.TakeAll();
  ASSERT_EQ(slow.losses.size(), 2u);
  EXPECT_FALSE(slow_feed.Recover("a", slow.losses[0]).has_value());
  Events("a", 31, 31);
  EXPECT_EQ(slow.events.back(), "a23");  // still lost
  const auto state = slow_feed.Recover("a", slow.losses[1]);
  ASSERT_TRUE(state.has_value());
  EXPECT_EQ(state->head, 31u);
}

TEST_F(QueueLimit, LeavingForgetsIt) {
  Events("a", 1, 10);
  slow_feed.Unfollow("a");
  EXPECT_FALSE(slow_feed.Recover("a", slow.losses.back()).has_value());
  slow.TakeAll();
  slow_feed.Follow("a");
  EXPECT_EQ(slow.followings.back().head, 10u);
  Events("a", 11, 11);
  EXPECT_EQ(slow.events.back(), "a11");
}

TEST_F(QueueLimit, BytesCountToo) {
  Port port;
  TopicFeed& feed = router.AddLoop(&port, {1000, 2000});
  feed.Follow("a");
  const std::string large = "\"" + std::string(3000, 'x') + "\"";
  router.OnEvents({MakeEvent("a", 1, large)});  // alone it is taken, whatever its size
  EXPECT_EQ(port.events.size(), 1u);
  router.OnEvents({MakeEvent("a", 2)});
  EXPECT_EQ(port.events.size(), 1u);
  EXPECT_EQ(port.lost, std::vector<std::string>{"a"});
}

}  // namespace
}  // namespace oasync
