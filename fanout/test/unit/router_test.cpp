// The router between the tail and several loops.
#include "hub/router.h"

#include <gtest/gtest.h>

#include "fakes.h"

namespace oasync {
namespace {

struct Port final : LoopPort {
  void PostFollowing(TopicState state) override { followings.push_back(std::move(state)); }
  void PostEvents(std::vector<EventRef> list) override {
    for (auto& event : list) events.push_back(event->topic + std::to_string(event->watermark));
  }
  std::vector<TopicState> followings;
  std::vector<std::string> events;
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

}  // namespace
}  // namespace oasync
