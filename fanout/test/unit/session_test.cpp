// The channel: joining, leaving, heartbeats, tokens, and messages that make no sense.
#include <gtest/gtest.h>

#include "fakes.h"

namespace oasync {
namespace {

ScopeSet Scopes(std::initializer_list<ScopeSet::Pattern> patterns) {
  ScopeSet scopes;
  for (const auto& pattern : patterns) scopes.Add(pattern);
  return scopes;
}

TEST(Session, JoinsAndSaysWhatIsAllowed) {
  HubFixture hub;
  const auto client = hub.Connect(Scopes({{"a", false}, {"run:", true}}));
  const Json reply = hub.Join(*client);
  EXPECT_EQ(reply["status"], "ok");
  EXPECT_EQ(reply["response"]["allowed_topics"], Json::array({"a", "run:*"}));
  EXPECT_EQ(reply["response"]["subscription_id"].get<std::string>().substr(0, 4), "sub_");
  EXPECT_EQ(reply["response"]["heartbeat_interval_ms"], 15000);
  EXPECT_EQ(reply["response"]["reconnect_backoff_ms"], Json::parse(R"({"base":400,"jitter":250})"));
  EXPECT_EQ(reply["response"]["current_watermarks"], Json::array());
  EXPECT_EQ(hub.source.heads_reads, 0);
}

TEST(Session, AnswersPhoenixHeartbeats) {
  HubFixture hub;
  const auto client = hub.Connect();
  client->session->OnText(R"([null,"5","phoenix","heartbeat",{}])");
  EXPECT_EQ(hub.Next(*client), Json::parse(R"([null,"5","phoenix","phx_reply",{"status":"ok","response":{}}])"));
  client->session->OnText(R"([null,"6","phoenix","what",{}])");
  EXPECT_EQ((*hub.Next(*client))[4]["status"], "error");
}

TEST(Session, UnknownTopicsAndEventsGetErrors) {
  HubFixture hub;
  const auto client = hub.Connect();
  client->session->OnText(R"(["9","1","room:1","phx_join",{}])");
  EXPECT_EQ(hub.Next(*client), Json::parse(R"(["9","1","room:1","phx_reply",
                {"status":"error","response":{"reason":"unmatched topic","code":"bad_topic"}}])"));
  hub.Send(*client, "2", "sync:subscribe", {{"topics", {"t"}}});
  EXPECT_EQ((*hub.Next(*client))[4]["response"]["reason"], "unmatched topic");
  hub.Join(*client);
  hub.Send(*client, "3", "sync:unheard_of", Json::object());
  EXPECT_EQ((*hub.Next(*client))[4]["status"], "error");
  EXPECT_EQ(client->close_code, 0);
}

TEST(Session, MalformedFramesCloseTheSocket) {
  HubFixture hub;
  auto client = hub.Connect();
  client->session->OnText("hello");
  EXPECT_EQ(client->close_code, kCloseBadData);
  client = hub.Connect();
  client->session->OnBinary("\x05garbage");
  EXPECT_EQ(client->close_code, kCloseUnacceptable);
  EXPECT_EQ(hub.counters.malformed.Get(), 2);
}

TEST(Session, WellFormedBinaryPushesAreRefusedPolitely) {
  HubFixture hub;
  const auto client = hub.Connect();
  client->session->OnBinary(
      std::string("\x00\x01\x01\x07\x01"
                  "12sync:v1e",
                  15));
  const Json reply = *hub.Next(*client);
  EXPECT_EQ(reply[1], "2");
  EXPECT_EQ(reply[4]["status"], "error");
  EXPECT_EQ(client->close_code, 0);
}

TEST(Session, LeavesWithAReplyAndAClose) {
  HubFixture hub;
  const auto client = hub.Connect();
  hub.Join(*client, {{"topics", {"t"}}});
  EXPECT_EQ(hub.counters.subscriptions.Get(), 1);
  hub.Send(*client, "2", "phx_leave", Json::object());
  EXPECT_EQ(hub.Next(*client), Json::parse(R"(["1","2","sync:v1","phx_reply",{"status":"ok","response":{}}])"));
  EXPECT_EQ(hub.Next(*client), Json::parse(R"(["1","1","sync:v1","phx_close",{}])"));
  EXPECT_EQ(hub.counters.subscriptions.Get(), 0);
  hub.Send(*client, "3", "phx_leave", Json::object());
  EXPECT_EQ((*hub.Next(*client))[4]["status"], "ok");
}

TEST(Session, JoiningAgainReplacesTheChannel) {
  HubFixture hub;
  const auto client = hub.Connect();
  hub.source.Fill("t", 3);
  hub.Join(*client, {{"topics", {"t"}}});
  client->session->OnText(R"(["2","9","sync:v1","phx_join",{}])");
  EXPECT_EQ(hub.Next(*client), Json::parse(R"(["1","1","sync:v1","phx_close",{}])"));
  const Json reply = *hub.Next(*client);
  EXPECT_EQ(reply[0], "2");
  EXPECT_EQ(reply[4]["status"], "ok");
  hub.Settle();
  EXPECT_FALSE(hub.Next(*client));  // nothing of the earlier subscription
  // What still speaks for the earlier channel is not heard.
  hub.Send(*client, "10", "sync:subscribe", {{"topics", {"t"}}});
  EXPECT_EQ((*hub.Next(*client))[4]["response"]["code"], "bad_topic");
}

TEST(Session, AnswersThatComeAfterARejoinAreDropped) {
  HubFixture hub;
  const auto client = hub.Connect();
  hub.Send(*client, "1", "phx_join", {{"topics", {"t"}}});
  client->session->OnText(R"(["2","9","sync:v1","phx_join",{}])");
  hub.Settle();
  std::vector<Json> messages = hub.TakeAll(*client);
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[0][3], "phx_close");
  EXPECT_EQ(messages[1][1], "9");
  EXPECT_EQ(hub.counters.subscriptions.Get(), 0);
}

TEST(Session, AnswersThatComeAfterTheEndAreDropped) {
  HubFixture hub;
  auto client = hub.Connect();
  hub.source.Fill("t", 5);
  hub.Join(*client, {{"topics", {"t"}}});
  hub.Next(*client);  // starts a read of the journal
  hub.Send(*client, "2", "sync:subscribe", {{"topics", {"u"}}});
  client.reset();
  hub.Settle();
  EXPECT_EQ(hub.counters.subscriptions.Get(), 0);
}

TEST(Session, HeartbeatsAreAnsweredAndPushed) {
  HubFixture hub;
  const auto client = hub.Connect();
  hub.source.Fill("t", 3);
  hub.Join(*client, {{"topics", {"t"}}, {"resume_after", {{"t", 2}}}});
  hub.Send(*client, "5", "sync:heartbeat", Json::object());
  const Json reply = *hub.Next(*client);
  EXPECT_EQ(reply[4]["response"]["watermarks"], Json::parse(R"([{"topic":"t","watermark":2,"epoch":1}])"));
  const Json push = *hub.Next(*client);
  EXPECT_TRUE(push[0].is_null());
  EXPECT_EQ(push[3], "sync:heartbeat");
  EXPECT_EQ(push[4]["watermarks"], Json::parse(R"([{"topic":"t","watermark":2,"epoch":1,"head_watermark":3}])"));
}

TEST(Session, HeartbeatsComeByThemselves) {
  HubFixture hub;
  const auto client = hub.Connect();
  hub.Join(*client);
  const int64_t next = client->session->OnTimer();
  EXPECT_FALSE(client->session->HasFrames());
  hub.clock.Advance(next - hub.clock.steady_ms);
  EXPECT_GT(client->session->OnTimer(), hub.clock.steady_ms);
  EXPECT_EQ((*hub.Next(*client))[3], "sync:heartbeat");
}

TEST(Session, ATokenIsWarnedOfAndThenEndsTheSocket) {
  HubFixture hub;
  const auto client = hub.Connect();
  hub.Join(*client);
  hub.clock.Advance(271000);
  client->session->OnTimer();
  hub.Next(*client);  // heartbeat
  const Json warning = *hub.Next(*client);
  EXPECT_EQ(warning[3], "sync:error");
  EXPECT_EQ(warning[4]["code"], "token_expired");
  EXPECT_EQ(warning[4]["expires_in_ms"], 29000);
  const int64_t next = client->session->OnTimer();
  EXPECT_LE(next, hub.clock.steady_ms + 39000);
  EXPECT_EQ(client->close_code, 0);
  hub.clock.Advance(29000 + 9999);
  client->session->OnTimer();
  EXPECT_EQ(client->close_code, 0);
  hub.clock.Advance(1);
  client->session->OnTimer();
  EXPECT_EQ(client->close_code, kClosePolicy);
}

TEST(Session, ReauthenticatingKeepsTheSocket) {
  HubFixture hub;
  const auto client = hub.Connect();
  hub.Join(*client, {{"topics", {"t", "other"}}});
  hub.clock.Advance(295000);
  Json claims = TestClaims(hub.clock.wall_ms / 1000);
  hub.Send(*client, "2", "sync:reauthenticate", {{"token", SignToken(claims)}});
  const Json reply = *hub.Next(*client);
  EXPECT_EQ(reply[4]["status"], "ok");
  EXPECT_EQ(reply[4]["response"]["expires_at"], claims["exp"]);
  // The new token does not allow everything that was followed.
  const Json lost = *hub.Next(*client);
  EXPECT_EQ(lost[4]["code"], "forbidden_topic");
  EXPECT_EQ(lost[4]["forbidden_topics"], Json::array({"other"}));
  EXPECT_EQ(hub.counters.subscriptions.Get(), 1);
  hub.clock.Advance(60000);
  client->session->OnTimer();
  EXPECT_EQ(client->close_code, 0);
}

TEST(Session, ReauthenticatingWithAnotherTokenFails) {
  HubFixture hub;
  const auto client = hub.Connect();
  hub.Join(*client);
  Json claims = TestClaims(hub.clock.wall_ms / 1000);
  claims["sub"] = "someone else";
  const std::pair<Json, const char*> cases[] = {
      {{{"token", SignToken(claims)}}, "claim_mismatch"},
      {{{"token", "x"}}, "invalid_token_format"},
      {Json::object(), "missing_token"},
      {Json::array({1}), "missing_token"},
  };
  for (const auto& [payload, reason] : cases) {
    hub.Send(*client, "2", "sync:reauthenticate", payload);
    const Json reply = *hub.Next(*client);
    EXPECT_EQ(reply[4]["status"], "error");
    EXPECT_EQ(reply[4]["response"]["code"], "unauthorized");
    EXPECT_EQ(reply[4]["response"]["reason"], reason);
  }
}

TEST(Session, FloodsAreRateLimited) {
  HubOptions options;
  options.session.max_requests_per_second = 2;
  HubFixture hub(options);
  const auto client = hub.Connect();
  hub.Join(*client);
  for (int i = 0; i < 3; ++i) hub.Send(*client, "2", "sync:heartbeat", Json::object());
  hub.Send(*client, "8", "phx_join", Json::object());
  Json last;
  while (auto message = hub.Next(*client)) last = *message;
  EXPECT_EQ(last[1], "8");
  EXPECT_EQ(last[4]["response"]["code"], "rate_limited");
  EXPECT_GT(last[4]["response"]["retry_after_ms"], 0);
  // Phoenix heartbeats are never refused: phoenix.js takes that for a dead connection.
  client->session->OnText(R"([null,"9","phoenix","heartbeat",{}])");
  EXPECT_EQ((*hub.Next(*client))[4]["status"], "ok");
  hub.clock.Advance(1000);
  hub.Send(*client, "10", "sync:heartbeat", Json::object());
  EXPECT_EQ((*hub.Next(*client))[4]["status"], "ok");
}

TEST(Session, AClientThatDoesNotReadIsNotReadEither) {
  HubFixture hub;
  const auto client = hub.Connect();
  int sent = 0;
  while (client->session->WantsInput() && sent < 10000) {
    client->session->OnText(R"([null,"9","phoenix","heartbeat",{}])");
    ++sent;
  }
  EXPECT_LT(sent, 1000);
  hub.Next(*client);
  EXPECT_TRUE(client->session->WantsInput());
}

TEST(Session, AWarningWaitsForTheChannel) {
  HubFixture hub;
  const auto client = hub.Connect();
  hub.clock.Advance(280000);
  client->session->OnTimer();
  EXPECT_FALSE(hub.Next(*client));
  EXPECT_EQ(hub.Join(*client)["status"], "ok");
  EXPECT_EQ((*hub.Next(*client))[4]["expires_in_ms"], 20000);
  client->session->OnTimer();
  while (const auto message = hub.Next(*client)) EXPECT_EQ((*message)[3], "sync:heartbeat");
}

}  // namespace
}  // namespace oasync
