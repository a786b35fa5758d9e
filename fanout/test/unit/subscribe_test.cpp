// Subscribing: what is granted, what is refused, and what is said about it.
#include <gtest/gtest.h>

#include "fakes.h"

namespace oasync {
namespace {

class Subscribe : public testing::Test {
 protected:
  Json Ask(const Json& payload) {
    hub.Send(*client, "7", "sync:subscribe", payload);
    hub.Settle();
    return hub.Next(*client).value();
  }
  void SetUp() override { hub.Join(*client); }

  HubFixture hub;
  std::unique_ptr<FakeSocket> client = hub.Connect();
};

TEST_F(Subscribe, RepliesWithCursorsAndHeadsBeforeTheFirstBatch) {
  hub.source.Fill("t", 4);
  const Json reply = Ask({{"topics", {"t"}}, {"resume_after", {{"t", 1}}}, {"request_id", "r1"}});
  EXPECT_EQ(reply[1], "7");
  const Json& response = reply[4]["response"];
  EXPECT_EQ(reply[4]["status"], "ok");
  EXPECT_EQ(response["topics"], Json::array({"t"}));
  EXPECT_EQ(response["request_id"], "r1");
  EXPECT_EQ(response["current_watermarks"], Json::parse(R"([{"topic":"t","watermark":1,"epoch":1}])"));
  EXPECT_EQ(response["head_watermarks"], Json::parse(R"([{"topic":"t","watermark":4}])"));
  const auto messages = hub.TakeAll(*client);
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0][3], "sync:update_batch");
}

TEST_F(Subscribe, WithoutACursorEverythingRetainedComes) {
  hub.source.Fill("t", 4);
  hub.source.floors["t"] = 2;
  const Json reply = Ask({{"topics", {"t"}}});
  EXPECT_EQ(reply[4]["response"]["current_watermarks"][0]["watermark"], 2);
  EXPECT_EQ(hub.TakeAll(*client)[0][4]["updates"].size(), 2u);
}

TEST_F(Subscribe, ATopicWithoutEventsCanBeFollowed) {
  EXPECT_EQ(Ask({{"topics", {"new"}}})[4]["response"]["current_watermarks"][0]["watermark"], 0);
  hub.Following("new", 0);
  hub.Live("new");
  EXPECT_EQ(hub.TakeAll(*client)[0][4]["through_watermark"], 1);
}

TEST_F(Subscribe, BadOnesAreRefused) {
  EXPECT_EQ(Ask(Json::object())[4]["response"]["code"], "bad_subscription");
  EXPECT_EQ(Ask({{"topics", {"t"}}, {"resume_after", {{"t", -1}}}})[4]["response"]["code"], "bad_subscription");
  EXPECT_TRUE(hub.source.followed.empty());
}

TEST_F(Subscribe, OneForbiddenTopicRefusesAll) {
  ScopeSet scopes;
  scopes.Add({"a", false});
  client = hub.Connect(scopes);
  hub.Join(*client);
  const Json reply = Ask({{"topics", {"a", "b"}}});
  EXPECT_EQ(reply[4]["response"]["code"], "forbidden_topic");
  EXPECT_EQ(reply[4]["response"]["forbidden_topics"], Json::array({"b"}));
  EXPECT_EQ(hub.counters.subscriptions.Get(), 0);
  EXPECT_TRUE(hub.source.followed.empty());
}

TEST_F(Subscribe, TheNumberOfTopicsIsLimited) {
  Json topics = Json::array();
  for (int i = 0; i < 257; ++i) topics.push_back("t" + std::to_string(i));
  EXPECT_EQ(Ask({{"topics", topics}})[4]["response"]["max_topics"], 256);
  topics.erase(0);
  EXPECT_EQ(Ask({{"topics", topics}})[4]["status"], "ok");
  EXPECT_EQ(Ask({{"topics", topics}})[4]["status"], "ok");
  EXPECT_EQ(Ask({{"topics", {"one more"}}})[4]["status"], "error");
  EXPECT_EQ(Ask({{"topics", {"one_more"}}})[4]["response"]["max_topics"], 256);
}

TEST_F(Subscribe, RequestsThatWaitAreLimited) {
  for (int i = 0; i < 9; ++i) hub.Send(*client, "7", "sync:subscribe", {{"topics", {"t"}}});
  const Json reply = *hub.Next(*client);
  EXPECT_EQ(reply[4]["response"]["code"], "rate_limited");
  EXPECT_GT(reply[4]["response"]["retry_after_ms"], 0);
  hub.Settle();
  EXPECT_EQ(hub.counters.subscriptions.Get(), 1);
}

TEST_F(Subscribe, AStaleTopicRefusesAllWithAPlan) {
  hub.source.Fill("t", 10);
  hub.source.floors["t"] = 5;
  const Json reply = Ask({{"topics", {"t", "u"}}, {"resume_after", {{"t", 4}}}});
  EXPECT_EQ(reply[4]["status"], "error");
  const Json& error = reply[4]["response"];
  EXPECT_EQ(error["code"], "stale_cursor");
  EXPECT_EQ(error["full_resync_required"], true);
  EXPECT_EQ(error["reason_codes"], Json::array({"retention_floor_breach"}));
  const Json& topic = error["stale_topics"][0];
  EXPECT_EQ(topic["topic"], "t");
  EXPECT_EQ(topic["reason"], "retention_floor_breach");
  EXPECT_EQ(topic["resume_after"], 4);
  EXPECT_EQ(topic["retention_floor"], 5);
  EXPECT_EQ(topic["head_watermark"], 10);
  EXPECT_EQ(topic["replay_lag"], 6);
  EXPECT_TRUE(topic.contains("replay_budget_events"));
  EXPECT_TRUE(topic.contains("qos_tier"));
  EXPECT_EQ(error["snapshot_plan"]["format"], "openagents.sync.snapshot.v1");
  EXPECT_EQ(error["snapshot_plan"]["topics"][0]["head_watermark"], 10);
  // What the journal lacks is in the documents only.
  EXPECT_EQ(error["snapshot_plan"]["topics"][0]["snapshot"]["source"], "documents");
  EXPECT_EQ(error["snapshot_plan"]["topics"][0]["snapshot"]["resume_after"], 5);
  const Json push = *hub.Next(*client);
  EXPECT_EQ(push[3], "sync:error");
  EXPECT_EQ(push[4], error);
  EXPECT_EQ(hub.counters.subscriptions.Get(), 0);
  // At the floor is fine.
  EXPECT_EQ(Ask({{"topics", {"t"}}, {"resume_after", {{"t", 5}}}})[4]["status"], "ok");
}

TEST_F(Subscribe, CursorsOfAnotherHistoryAreStale) {
  hub.source.Fill("t", 3);
  hub.source.epoch = 2;
  const auto reason = [&](const Json& cursor) {
    const Json reply = Ask({{"topics", {"t"}}, {"resume_after", Json::array({cursor})}});
    if (reply[4]["status"] == "ok") return Json("fine");
    hub.TakeAll(*client);
    return reply[4]["response"]["reason_codes"][0];
  };
  EXPECT_EQ(reason({{"topic", "t"}, {"watermark", 2}, {"epoch", 1}}), "epoch_diverged");
  EXPECT_EQ(reason({{"topic", "t"}, {"watermark", 4}, {"epoch", 2}}), "cursor_ahead_of_head");
  EXPECT_EQ(reason({{"topic", "t"}, {"watermark", 4}}), "cursor_ahead_of_head");
  EXPECT_EQ(reason({{"topic", "t"}, {"watermark", 3}, {"epoch", 2}}), "fine");
}

TEST_F(Subscribe, CursorsOfASharedHistoryGoOn) {
  hub.source.Fill("t", 3);
  hub.source.epoch = 2;
  hub.source.histories["t"] = {{1, 2}};
  const auto ask = [&](uint64_t watermark) {
    return Ask({{"topics", {"t"}},
                {"resume_after", Json::array({{{"topic", "t"}, {"watermark", watermark}, {"epoch", 1}}})}})[4];
  };
  const Json fine = ask(2);
  EXPECT_EQ(fine["status"], "ok");
  EXPECT_EQ(fine["response"]["current_watermarks"], Json::parse(R"([{"topic":"t","watermark":2,"epoch":2}])"));
  hub.TakeAll(*client);
  EXPECT_EQ(ask(3)["response"]["reason_codes"][0], "epoch_diverged");
  hub.TakeAll(*client);
  hub.source.error = "the database is away";
  EXPECT_EQ(ask(2)["response"]["code"], "internal");
}

TEST_F(Subscribe, AStaleJoinIsAJoin) {
  hub.source.Fill("t", 3);
  client = hub.Connect();
  const Json reply = hub.Join(*client, {{"topics", {"t"}}, {"resume_after", {{"t", 9}}}});
  EXPECT_EQ(reply["status"], "ok");
  EXPECT_EQ(reply["response"]["stale"]["code"], "stale_cursor");
  EXPECT_EQ(reply["response"]["current_watermarks"], Json::array());
  EXPECT_EQ(hub.counters.subscriptions.Get(), 0);
  // The channel stands: the client can take a fresh start in it.
  EXPECT_EQ(Ask({{"topics", {"t"}}})[4]["status"], "ok");
}

TEST_F(Subscribe, ADatabaseThatIsAwayIsSaidSo) {
  hub.source.error = "no connection";
  const Json reply = Ask({{"topics", {"t"}}});
  EXPECT_EQ(reply[4]["response"]["code"], "internal");
  EXPECT_GT(reply[4]["response"]["retry_after_ms"], 0);
  client = hub.Connect();
  EXPECT_EQ(hub.Join(*client, {{"topics", {"t"}}})["status"], "error");
  hub.source.error.clear();
  EXPECT_EQ(hub.Join(*client, {{"topics", {"t"}}})["status"], "ok");
}

TEST_F(Subscribe, UnsubscribeSaysWhatRemains) {
  Ask({{"topics", {"a", "b", "c"}}});
  hub.Send(*client, "8", "sync:unsubscribe", {{"topics", {"b", "unknown"}}});
  const Json reply = *hub.Next(*client);
  EXPECT_EQ(reply[4]["response"]["topics"], Json::array({"a", "c"}));
  hub.Send(*client, "9", "sync:unsubscribe", {{"topics", 5}});
  EXPECT_EQ((*hub.Next(*client))[4]["response"]["code"], "bad_subscription");
}

TEST_F(Subscribe, SubscribingAgainMovesTheCursor) {
  hub.source.Fill("t", 5);
  Ask({{"topics", {"t"}}});
  EXPECT_EQ(hub.TakeAll(*client).back()[4]["through_watermark"], 5);
  Ask({{"topics", {"t"}}, {"resume_after", {{"t", 3}}}});
  const auto messages = hub.TakeAll(*client);
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0][4]["after_watermark"], 3);
  EXPECT_EQ(hub.counters.subscriptions.Get(), 1);
}

TEST_F(Subscribe, QuestionsAreAskedTogether) {
  std::vector<std::unique_ptr<FakeSocket>> clients;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(hub.Connect());
    hub.Send(*clients.back(), "1", "phx_join", {{"topics", {"t", "t" + std::to_string(i)}}});
  }
  hub.Settle();
  EXPECT_EQ(hub.source.heads_reads, 2);
  for (const auto& each : clients) EXPECT_EQ((*hub.Next(*each))[4]["status"], "ok");
}

TEST_F(Subscribe, AFollowedTopicNeedsNoQuestion) {
  hub.source.Fill("t", 5);
  Ask({{"topics", {"t"}}});
  hub.Following("t", 5);
  hub.Live("t");
  const int before = hub.source.heads_reads;
  client = hub.Connect();
  EXPECT_EQ(hub.Join(*client, {{"topics", {"t"}}, {"resume_after", {{"t", 5}}}})["status"], "ok");
  EXPECT_EQ(hub.source.heads_reads, before);
  // A cursor past what is known may come from a server that was ahead of this one.
  hub.source.Append("t");
  client = hub.Connect();
  EXPECT_EQ(hub.Join(*client, {{"topics", {"t"}},
                               {"resume_after", {{"t", 7}}}})["response"]["current_watermarks"][0]["watermark"],
            7);
  EXPECT_EQ(hub.source.heads_reads, before + 1);
}

TEST_F(Subscribe, ATokenReplacedDuringTheWaitCounts) {
  const auto reauthenticate = [&] {
    hub.Send(*client, "8", "sync:reauthenticate", {{"token", SignToken(TestClaims(hub.clock.wall_ms / 1000))}});
    EXPECT_EQ((*hub.Next(*client))[4]["status"], "ok");
    hub.Settle();
  };
  hub.Send(*client, "7", "sync:subscribe", {{"topics", {"other"}}});
  reauthenticate();
  EXPECT_EQ((*hub.Next(*client))[4]["response"]["code"], "forbidden_topic");
  client = hub.Connect();
  hub.Send(*client, "1", "phx_join", {{"topics", {"other"}}});
  reauthenticate();
  EXPECT_EQ((*hub.Next(*client))[4]["response"]["code"], "forbidden_topic");
  hub.Send(*client, "9", "sync:heartbeat", Json::object());
  EXPECT_EQ((*hub.Next(*client))[4]["response"]["code"], "bad_topic");
  EXPECT_EQ(hub.counters.subscriptions.Get(), 0);
}

}  // namespace
}  // namespace oasync
