// A loop that did not keep up with the tail: live events were left out, and the journal has them.
#include <gtest/gtest.h>

#include "fakes.h"
#include "follower.h"

namespace oasync {
namespace {

class LostEvents : public testing::Test {
 protected:
  void SetUp() override {
    hub.source.Fill("t", 5);
    client = hub.Connect();
    hub.Join(*client, Topics({"t"}));
    hub.Following("t", 5);
    follower.Take(hub.TakeAll(*client));
    ASSERT_EQ(follower.cursor, 5u);
  }
  // The loop gets to the word that events are missing when the tail stands at the journal's end.
  void Lose(uint64_t count, uint64_t epoch = 1) {
    hub.source.Fill("t", count);
    hub.feed.recovered = TopicState{"t", hub.source.journal["t"].size(), 0, epoch};
    hub.hub.OnLost("t", 1);
  }

  HubFixture hub;
  std::unique_ptr<FakeSocket> client;
  Follower follower;
};

TEST_F(LostEvents, AreReadFromTheJournalAndLiveOnesFollow) {
  const size_t before = hub.source.reads.size();
  hub.Live("t");
  Lose(4);
  hub.Live("t");
  follower.Take(hub.TakeAll(*client));
  EXPECT_EQ(follower.cursor, 11u);
  EXPECT_EQ(client->close_code, 0);
  const size_t reads = hub.source.reads.size();
  EXPECT_GT(reads, before);
  hub.Live("t");
  follower.Take(hub.TakeAll(*client));
  EXPECT_EQ(follower.cursor, 12u);
  EXPECT_EQ(hub.source.reads.size(), reads);  // from the window again
}

TEST_F(LostEvents, AReaderAheadOfTheTailIsNotCalledAheadOfTheHead) {
  Lose(4);
  follower.Take(hub.TakeAll(*client));
  hub.feed.recovered = TopicState{"t", 7, 0, 1};  // the tail is behind what the journal gave
  hub.hub.OnLost("t", 1);
  hub.Live("t");
  follower.Take(hub.TakeAll(*client));
  EXPECT_EQ(follower.cursor, 10u);
}

TEST_F(LostEvents, OfAnotherEpochTheNewStartTells) {
  Lose(4, 2);
  EXPECT_TRUE(hub.TakeAll(*client).empty());
}

TEST_F(LostEvents, WhatHasRecoveredOtherwiseIsLeftAlone) {
  const size_t reads = hub.source.reads.size();
  hub.hub.OnLost("t", 1);
  hub.hub.OnLost("unknown", 2);
  hub.Live("t");
  follower.Take(hub.TakeAll(*client));
  EXPECT_EQ(follower.cursor, 6u);
  EXPECT_EQ(hub.source.reads.size(), reads);
}

}  // namespace
}  // namespace oasync
