// Delivery when the journal has gaps, cannot be read or is cut off, and when the tail starts over.
#include <gtest/gtest.h>

#include <map>

#include "fakes.h"
#include "follower.h"

namespace oasync {
namespace {

// A client that has the first `count` events of topic t and follows it live.
std::unique_ptr<FakeSocket> FollowLive(HubFixture& hub, size_t count) {
  hub.source.Fill("t", count);
  auto client = hub.Connect();
  hub.Join(*client, Topics({"t"}));
  hub.Following("t", count);
  hub.TakeAll(*client);
  return client;
}

TEST(DeliveryFaults, AGapInTheJournalIsWaitedForNeverSkipped) {
  HubFixture hub;
  hub.source.Fill("t", 10);
  hub.source.hidden = 6;
  const auto client = hub.Connect();
  hub.Join(*client, Topics({"t"}));
  Follower follower;
  follower.Take(hub.TakeAll(*client));
  EXPECT_EQ(follower.cursor, 5u);
  for (int i = 0; i < 5; ++i) {
    hub.clock.Advance(5000);
    hub.hub.Tick();
    hub.Settle();
    follower.Take(hub.TakeAll(*client));
  }
  EXPECT_EQ(follower.cursor, 5u);
  hub.source.hidden = 0;
  hub.clock.Advance(5000);
  hub.hub.Tick();
  hub.Settle();
  follower.Take(hub.TakeAll(*client));
  EXPECT_EQ(follower.cursor, 10u);
}

TEST(DeliveryFaults, AJournalThatCannotBeReadIsTriedAgain) {
  HubFixture hub;
  hub.source.Fill("t", 10);
  const auto client = hub.Connect();
  hub.Join(*client, Topics({"t"}));
  hub.source.error = "gone";
  EXPECT_TRUE(hub.TakeAll(*client).empty());
  hub.clock.Advance(5000);
  hub.hub.Tick();
  hub.Settle();
  EXPECT_TRUE(hub.TakeAll(*client).empty());
  hub.source.error.clear();
  for (int i = 0; i < 3; ++i) {
    hub.clock.Advance(5000);
    hub.hub.Tick();
    hub.Settle();
  }
  EXPECT_EQ(hub.TakeAll(*client)[0][4]["through_watermark"], 10);
}

TEST(DeliveryFaults, RetentionThatOvertakesAClientIsSaid) {
  HubFixture hub;
  hub.source.Fill("t", 3000);
  const auto client = hub.Connect();
  hub.Join(*client, Topics({"t"}));
  hub.Next(*client);
  hub.Settle();
  EXPECT_TRUE(hub.Next(*client));  // through 200; the page goes to 1000
  hub.source.floors["t"] = 2500;
  std::vector<Json> messages;
  for (int i = 0; i < 3; ++i) {
    for (auto& message : hub.TakeAll(*client)) messages.push_back(std::move(message));
    hub.clock.Advance(5000);
    hub.hub.Tick();
    hub.Settle();
  }
  ASSERT_FALSE(messages.empty());
  EXPECT_EQ(messages.back()[3], "sync:error");
  EXPECT_EQ(messages.back()[4]["reason_codes"], Json::array({"retention_floor_breach"}));
  EXPECT_EQ(messages.back()[4]["stale_topics"][0]["resume_after"], 1000);
  EXPECT_EQ(hub.counters.subscriptions.Get(), 0);
}

TEST(DeliveryFaults, ATailThatStartsOverInTheSameEpochLosesNothing) {
  HubFixture hub;
  const auto client = hub.Connect();
  hub.Join(*client, Topics({"t"}));
  hub.Following("t", 0);
  hub.Live("t");
  Follower follower;
  follower.Take(hub.TakeAll(*client));
  hub.source.Fill("t", 5);  // while the tail was away
  hub.Following("t", 6);
  hub.Live("t");
  follower.Take(hub.TakeAll(*client));
  EXPECT_EQ(follower.watermarks, (std::vector<uint64_t>{1, 2, 3, 4, 5, 6, 7}));
}

TEST(DeliveryFaults, ATailWithAHoleIsFilledFromTheJournal) {
  HubFixture hub;
  const auto client = hub.Connect();
  hub.Join(*client, Topics({"t"}));
  hub.Following("t", 0);
  hub.source.Fill("t", 3);
  hub.hub.OnEvents({hub.source.journal["t"][2]});
  hub.hub.OnEvents({hub.source.journal["t"][1], hub.source.journal["t"][2]});  // repeats
  Follower follower;
  follower.Take(hub.TakeAll(*client));
  EXPECT_EQ(follower.watermarks, (std::vector<uint64_t>{1, 2, 3}));
}

TEST(DeliveryFaults, ANewEpochEndsSubscriptionsOfTheOldOne) {
  HubFixture hub;
  const auto client = FollowLive(hub, 3);
  hub.source.journal["t"].resize(2);
  hub.source.epoch = 2;
  hub.Following("t", 2);
  const auto messages = hub.TakeAll(*client);
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0][4]["reason_codes"], Json::array({"epoch_diverged"}));
  EXPECT_EQ(messages[0][4]["stale_topics"][0]["head_watermark"], 2);
  EXPECT_EQ(hub.counters.subscriptions.Get(), 0);
}

TEST(DeliveryFaults, ANewEpochThatLostNothingIsNotNoticed) {
  HubFixture hub;
  hub.source.Fill("t", 3);
  const auto live = hub.Connect();
  const auto behind = hub.Connect();
  hub.Join(*live, Topics({"t"}));
  hub.Following("t", 3);
  hub.TakeAll(*live);
  hub.Join(*behind, {{"topics", {"t"}}, {"resume_after", {{"t", 1}}}});
  hub.source.epoch = 2;
  hub.source.histories["t"] = {{1, 3}};
  hub.source.Fill("t", 2);
  hub.Following("t", 5);
  Follower follower;
  follower.cursor = 3;
  follower.Take(hub.TakeAll(*live));
  EXPECT_EQ(follower.watermarks, (std::vector<uint64_t>{4, 5}));
  Follower second;
  second.cursor = 1;
  second.Take(hub.TakeAll(*behind));
  EXPECT_EQ(second.watermarks, (std::vector<uint64_t>{2, 3, 4, 5}));
  hub.Live("t");
  follower.Take(hub.TakeAll(*live));
  EXPECT_EQ(follower.cursor, 6u);
  EXPECT_EQ(hub.counters.subscriptions.Get(), 2);
}

TEST(DeliveryFaults, OnlyWhoIsBeyondTheSharedHistoryIsDropped) {
  HubFixture hub;
  hub.source.Fill("t", 5);
  const auto ahead = hub.Connect();
  const auto at_end = hub.Connect();
  hub.Join(*ahead, Topics({"t"}));
  hub.Following("t", 5);
  hub.TakeAll(*ahead);
  hub.source.hidden = 5;
  hub.Join(*at_end, {{"topics", {"t"}}, {"resume_after", {{"t", 4}}}});
  // The standby that takes over lacks the last event, and writes another one in its place.
  hub.source.hidden = 0;
  hub.source.journal["t"].resize(4);
  hub.source.epoch = 2;
  hub.source.histories["t"] = {{1, 4}};
  hub.source.Fill("t", 1);
  hub.Following("t", 5);
  EXPECT_EQ(hub.TakeAll(*ahead).back()[4]["reason_codes"], Json::array({"epoch_diverged"}));
  Follower follower;
  follower.cursor = 4;
  follower.Take(hub.TakeAll(*at_end));
  EXPECT_EQ(follower.watermarks, (std::vector<uint64_t>{5}));
}

TEST(DeliveryFaults, AReviewThatFailsIsRepeated) {
  HubFixture hub;
  const auto client = FollowLive(hub, 3);
  hub.source.epoch = 2;
  hub.source.histories["t"] = {{1, 3}};
  hub.source.error = "the database is away";
  hub.Following("t", 3);
  EXPECT_TRUE(hub.TakeAll(*client).empty());
  hub.source.error.clear();
  hub.clock.Advance(5000);
  hub.hub.Tick();
  hub.Settle();
  hub.Live("t");
  Follower follower;
  follower.cursor = 3;
  follower.Take(hub.TakeAll(*client));
  EXPECT_EQ(follower.cursor, 4u);
}

TEST(DeliveryFaults, TheWindowOfAnotherEpochIsNotUsed) {
  HubFixture hub;
  hub.source.Fill("t", 5);
  const auto watcher = hub.Connect();
  hub.Join(*watcher, Topics({"t"}));
  hub.Following("t", 5);
  for (int i = 0; i < 10; ++i) hub.Live("t");
  // Another server takes over, without the last five; subscribers are told before the tail notices.
  hub.source.journal["t"].resize(10);
  hub.source.epoch = 2;
  hub.source.Fill("t", 2);
  hub.clock.Advance(5000);
  const auto client = hub.Connect();
  EXPECT_EQ(hub.Join(*client, Topics({"t"}))["response"]["current_watermarks"][0]["epoch"], 2);
  Follower follower;
  const auto messages = hub.TakeAll(*client);
  follower.Take(messages);
  EXPECT_EQ(follower.cursor, 12u);
  EXPECT_EQ(messages[0][4]["updates"][11]["epoch"], 2);
  EXPECT_EQ(messages[0][4]["head_watermarks"], Json::parse(R"([{"topic":"t","watermark":12}])"));
  hub.TakeAll(*watcher);
  hub.Following("t", 12);
  EXPECT_EQ(hub.TakeAll(*watcher).back()[4]["reason_codes"], Json::array({"epoch_diverged"}));
  hub.Live("t");
  follower.Take(hub.TakeAll(*client));
  EXPECT_EQ(follower.cursor, 13u);
  EXPECT_EQ(follower.watermarks.size(), 13u);
}

TEST(DeliveryFaults, AnEpochThatChangesBeforeTheTailBeginsIsNoticed) {
  HubFixture hub;
  hub.source.Fill("t", 5);
  const auto client = hub.Connect();
  hub.Join(*client, Topics({"t"}));
  hub.TakeAll(*client);
  hub.source.journal["t"].resize(2);
  hub.source.epoch = 2;
  hub.Following("t", 2);
  const auto messages = hub.TakeAll(*client);
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0][4]["reason_codes"], Json::array({"epoch_diverged"}));
  EXPECT_EQ(hub.counters.subscriptions.Get(), 0);
  const auto next = hub.Connect();
  EXPECT_EQ(hub.Join(*next, Topics({"t"}))["response"]["head_watermarks"][0]["watermark"], 2);
}

TEST(DeliveryFaults, AnAnswerOfAnEpochThatTheTailHasLeftIsNotBelieved) {
  HubFixture hub;
  hub.source.Fill("t", 5);
  const auto client = hub.Connect();
  hub.Send(*client, "1", "phx_join", Topics({"t"}));
  hub.source.Answer();
  hub.source.epoch = 2;
  hub.Following("t", 5);
  hub.Settle();
  EXPECT_EQ((*hub.Next(*client))[4]["response"]["code"], "internal");
  EXPECT_EQ(hub.Join(*client, Topics({"t"}))["status"], "ok");
}

TEST(DeliveryFaults, AJournalThatWentBackEndsSubscriptionsPastItsHead) {
  HubFixture hub;
  hub.source.Fill("t", 5);
  const auto ahead = hub.Connect();
  const auto behind = hub.Connect();
  hub.Join(*ahead, Topics({"t"}));
  hub.Following("t", 5);
  hub.TakeAll(*ahead);
  hub.Join(*behind, {{"topics", {"t"}}, {"resume_after", {{"t", 2}}}});
  hub.source.journal["t"].resize(3);
  hub.Following("t", 3);
  EXPECT_EQ(hub.TakeAll(*ahead)[0][4]["reason_codes"], Json::array({"cursor_ahead_of_head"}));
  Follower follower{2, {}, false};
  follower.Take(hub.TakeAll(*behind));
  hub.Live("t");
  follower.Take(hub.TakeAll(*behind));
  EXPECT_EQ(follower.watermarks, (std::vector<uint64_t>{3, 4}));
}

TEST(DeliveryFaults, WhatIsInMemoryIsNotHeldBackByAGapInTheJournal) {
  HubFixture hub;
  hub.source.Fill("t", 10);
  hub.source.hidden = 6;
  const auto client = hub.Connect();
  hub.Join(*client, Topics({"t"}));
  Follower follower;
  follower.Take(hub.TakeAll(*client));
  EXPECT_EQ(follower.cursor, 5u);
  hub.Following("t", 5);
  hub.hub.OnEvents({hub.source.journal["t"].begin() + 5, hub.source.journal["t"].end()});
  follower.Take(hub.TakeAll(*client));
  EXPECT_EQ(follower.cursor, 10u);
}

// The database is away while the review is asked and while it is tried again: later everything is fine.
TEST(DeliveryFaults, AReviewThatFailsTwiceIsStillTriedAgain) {
  HubFixture hub;
  const auto client = FollowLive(hub, 3);
  hub.source.epoch = 2;
  hub.source.histories["t"] = {{1, 3}};
  hub.source.error = "too many reads are waiting for the database";
  hub.Following("t", 3);
  hub.Settle();  // the review fails: RetryLater
  hub.clock.Advance(5000);
  hub.hub.Tick();
  hub.Settle();  // the heads fail as well
  hub.source.error.clear();
  for (int i = 0; i < 5; ++i) {
    hub.clock.Advance(5000);
    hub.hub.Tick();
    hub.Settle();
  }
  hub.Live("t");
  hub.Live("t");
  Follower follower;
  follower.cursor = 3;
  follower.Take(hub.TakeAll(*client));
  EXPECT_EQ(follower.watermarks, (std::vector<uint64_t>{4, 5}));
}

// The subscriber's question is answered with a newer state than the tail's, which is told later.
TEST(DeliveryFaults, ASubscriptionOfTheNewEpochIsNotAheadOfAnOlderHeadOfTheTail) {
  HubFixture hub;
  const auto watcher = FollowLive(hub, 3);
  hub.source.epoch = 2;
  hub.source.histories["t"] = {{1, 3}};
  hub.source.Fill("t", 2);  // the tail has read head 4, one more is committed, the client asks
  const auto client = hub.Connect();
  hub.Join(*client, {{"topics", {"t"}}, {"resume_after", {{{"topic", "t"}, {"watermark", 5}, {"epoch", 2}}}}});
  hub.TakeAll(*client);
  hub.Following("t", 4);  // what the tail had read
  const auto messages = hub.TakeAll(*client);
  EXPECT_TRUE(messages.empty());
}

// Held pages, blocked subscriptions, reads in flight at the change: slots are right afterwards.
TEST(DeliveryFaults, SlotsAreRightAfterAChange) {
  HubFixture hub;
  const std::vector<std::string> names = {"a", "b", "c", "d", "e"};
  for (const auto& n : names) hub.source.Fill(n, 3000);
  const auto client = hub.Connect();
  Json topics = Json::array();
  for (const auto& n : names) topics.push_back(n);
  hub.Join(*client, {{"topics", topics}});
  for (const auto& n : names) hub.Following(n, 3000);
  std::map<std::string, Follower> followers;
  auto take = [&](const std::vector<Json>& messages) {
    for (const auto& m : messages) {
      ASSERT_NE(m[3], "sync:error") << m.dump();
      if (m[3] != "sync:update_batch") continue;
      const std::string n = m[4]["updates"][0]["topic"];
      followers[n].Take({m}, n);
    }
  };
  hub.Next(*client);  // reads under way: two slots
  hub.Settle();
  for (int i = 0; i < 3; ++i)
    if (auto m = hub.Next(*client)) take({*m});
  hub.source.epoch = 2;
  for (const auto& n : names) {
    hub.source.histories[n] = {{1, 3000}};
    hub.source.Fill(n, 5);
  }
  for (const auto& n : names) hub.Following(n, 3005);
  if (auto m = hub.Next(*client)) take({*m});
  hub.RunTasks();
  if (auto m = hub.Next(*client)) take({*m});
  for (int i = 0; i < 40; ++i) {
    take(hub.TakeAll(*client));
    hub.clock.Advance(3000);
    hub.hub.Tick();
    hub.Settle();
  }
  for (const auto& n : names) EXPECT_EQ(followers[n].cursor, 3005u) << n;
}

}  // namespace
}  // namespace oasync
