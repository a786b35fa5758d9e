// Replay budgets and tiers, by the policies of topics; and memory that replays may take.
#include <gtest/gtest.h>

#include "fakes.h"
#include "follower.h"

namespace oasync {
namespace {

Json From(uint64_t watermark) { return {{"topics", {"t"}}, {"resume_after", {{"t", watermark}}}}; }

class Budget : public ::testing::Test {
 protected:
  Budget() : client(hub.Connect()) {
    hub.source.Fill("t", 1000);
    hub.source.floors["t"] = 100;
    hub.source.policies["t"] = {500, QosTier::kHot};
  }
  HubFixture hub;
  std::unique_ptr<FakeSocket> client;
};

TEST_F(Budget, ACursorWithinItIsServed) { EXPECT_FALSE(hub.Join(*client, From(500))["response"].contains("stale")); }

TEST_F(Budget, ACursorBeyondItIsStaleWithAllThatIsToKnow) {
  const Json response = hub.Join(*client, From(499))["response"];
  const Json& stale = response["stale"];
  EXPECT_EQ(stale["code"], "stale_cursor");
  EXPECT_EQ(stale["reason_codes"], Json::array({"replay_budget_exceeded"}));
  EXPECT_EQ(stale["stale_topics"][0], Json({{"topic", "t"},
                                            {"reason", "replay_budget_exceeded"},
                                            {"resume_after", 499},
                                            {"retention_floor", 100},
                                            {"head_watermark", 1000},
                                            {"replay_lag", 501},
                                            {"replay_budget_events", 500},
                                            {"qos_tier", "hot"}}));
  EXPECT_EQ(stale["snapshot_plan"]["topics"][0]["snapshot"],
            Json({{"source", "documents"},
                  {"path", "/api/sync/snapshot?topic=t"},
                  {"epoch", stale["snapshot_plan"]["topics"][0]["snapshot"]["epoch"]}}));
  EXPECT_EQ(hub.shared.stale.Read().at("replay_budget_exceeded"), 1u);
  EXPECT_EQ(hub.counters.subscriptions.Get(), 0);
}

TEST_F(Budget, BelowTheFloorTheReasonIsTheFloor) {
  EXPECT_EQ(hub.Join(*client, From(99))["response"]["stale"]["reason_codes"], Json::array({"retention_floor_breach"}));
}

TEST_F(Budget, WithoutACursorAndAtTheFloorEverythingRetainedIsSent) {
  for (const Json& request : {Topics({"t"}), From(100)}) {
    const auto other = hub.Connect();
    EXPECT_FALSE(hub.Join(*other, request)["response"].contains("stale"));
    Follower follower;
    follower.cursor = 100;
    follower.Take(hub.TakeAll(*other));
    EXPECT_EQ(follower.watermarks.size(), 900u);
  }
}

TEST_F(Budget, NoBudgetIsNoLimit) {
  hub.source.policies["t"].replay_budget = 0;
  EXPECT_FALSE(hub.Join(*client, From(101))["response"].contains("stale"));
}

TEST_F(Budget, ItHoldsForWhatIsKnownWithoutAsking) {
  const auto first = hub.Connect();
  hub.Join(*first, From(1000));
  hub.Following("t", 1000);
  for (int i = 0; i < 501; ++i) hub.Live("t");
  const int asked = hub.source.heads_reads;
  EXPECT_TRUE(hub.Join(*client, From(1000))["response"].contains("stale"));
  EXPECT_EQ(hub.source.heads_reads, asked);
}

TEST_F(Budget, WhoFallsBehindWhileConnectedGoesOn) {
  HubOptions options;
  options.window_events = 50;
  HubFixture live(options);
  live.source.policies["t"] = {100, QosTier::kWarm};
  const auto slow = live.Connect();
  live.Join(*slow, Topics({"t"}));
  live.Following("t", 0);
  for (int i = 0; i < 2000; ++i) live.Live("t");
  Follower follower;
  follower.Take(live.TakeAll(*slow));
  EXPECT_EQ(follower.cursor, 2000u);
  EXPECT_TRUE(live.shared.stale.Read().empty());
}

TEST(Tiers, HotTopicsGoFirstAndNobodyStarves) {
  HubFixture hub;
  hub.source.policies["run:hot"] = {0, QosTier::kHot};
  hub.source.policies["run:cold"] = {0, QosTier::kCold};
  const auto client = hub.Connect();
  hub.Join(*client, {{"topics", {"run:cold", "run:warm", "run:hot"}}, {"replay_batch_size", 1}});
  for (const char* topic : {"run:cold", "run:warm", "run:hot"}) {
    hub.Following(topic, 0);
    for (int i = 0; i < 28; ++i) hub.Live(topic);
  }
  std::map<std::string, int> first_14;
  std::string first;
  for (int i = 0; i < 14; ++i) {
    const std::string topic = hub.Next(*client).value()[4]["updates"][0]["topic"];
    if (i == 0) first = topic;
    ++first_14[topic];
  }
  EXPECT_EQ(first, "run:hot");
  EXPECT_EQ(first_14, (std::map<std::string, int>{{"run:hot", 8}, {"run:warm", 4}, {"run:cold", 2}}));
  EXPECT_EQ(hub.TakeAll(*client).size(), 3 * 28 - 14u);
}

// Two hot topics that are always behind do not keep a cold one from the two places for replays.
TEST(Tiers, AColdReplayWaitsBehindTheOthersButGetsOn) {
  HubOptions options;
  options.replay_page_events = 10;
  HubFixture hub(options);
  std::vector<std::string> topics{"run:cold"};
  hub.source.policies["run:cold"] = {0, QosTier::kCold};
  for (int i = 0; i < 4; ++i) {
    topics.push_back("run:hot" + std::to_string(i));
    hub.source.policies[topics.back()] = {0, QosTier::kHot};
  }
  for (const auto& topic : topics) hub.source.Fill(topic, 1000);
  const auto client = hub.Connect();
  hub.Join(*client, Topics(topics));
  std::map<std::string, int> batches;
  while (batches["run:cold"] < 5) {
    hub.Settle();
    const auto message = hub.Next(*client);
    if (message) ++batches[(*message)[4]["updates"][0]["topic"]];
    ASSERT_LT(batches["run:hot0"], 50) << "starved";
  }
  EXPECT_GE(batches["run:hot0"] + batches["run:hot1"] + batches["run:hot2"] + batches["run:hot3"], 10);
}

TEST(ReplayMemory, StalledReadersGiveTheirPagesToThoseWhoWait) {
  HubOptions options;
  options.replay_page_events = 100;
  options.page_cache_bytes = 2 * 100 * WeightOf(*MakeEvent("run:1", 100));
  HubFixture hub(options);
  std::vector<std::unique_ptr<FakeSocket>> stalled;
  for (int i = 0; i < 6; ++i) {
    const std::string topic = "run:" + std::to_string(i);
    hub.source.Fill(topic, 300);
    stalled.push_back(hub.Connect());
    hub.Join(*stalled.back(), Topics({topic}));
    hub.Next(*stalled.back());  // asks for the journal
    hub.Settle();
  }
  EXPECT_LE(hub.pages.bytes(), 2 * options.page_cache_bytes);
  EXPECT_TRUE(hub.pages.HasWaiting());
  // The last one reads: it gets there although nobody else takes a byte.
  Follower follower;
  for (int i = 0; i < 20 && follower.cursor < 300; ++i) {
    follower.Take(hub.TakeAll(*stalled[5]), "run:5");
    hub.clock.Advance(1000);
    hub.hub.Tick();
    hub.Settle();
    EXPECT_LE(hub.pages.bytes(), 2 * options.page_cache_bytes);
  }
  EXPECT_EQ(follower.cursor, 300u);
  // And the others go on where they stood.
  for (int i = 0; i < 5; ++i) {
    Follower other;
    for (int n = 0; n < 20 && other.cursor < 300; ++n) {
      other.Take(hub.TakeAll(*stalled[i]), "run:" + std::to_string(i));
      hub.clock.Advance(1000);
      hub.hub.Tick();
      hub.Settle();
    }
    EXPECT_EQ(other.cursor, 300u) << i;
  }
}

}  // namespace
}  // namespace oasync
