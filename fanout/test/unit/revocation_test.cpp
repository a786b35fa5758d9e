// Revocations: the list, how it is kept, and what becomes of sessions.
#include <gtest/gtest.h>

#include "auth/revocation_list.h"
#include "fakes.h"
#include "hub/revocation_feed.h"
#include "hub/router.h"

namespace oasync {
namespace {

using Kind = Revocation::Kind;
constexpr int64_t kNow = 1700000000;

TEST(RevocationList, FindsByEachClaimUntilItsEnd) {
  RevocationList list(100);
  list.Add({Kind::kSession, "s", "user_requested", kNow + 10}, kNow);
  list.Add({Kind::kDevice, "d", "device_replaced", 0}, kNow);
  list.Add({Kind::kToken, "j", "something new", kNow + 10}, kNow);
  EXPECT_EQ(list.Find("s", "", "", kNow), RevocationReason::kUserRequested);
  EXPECT_EQ(list.Find("", "d", "x", kNow + 1000000), RevocationReason::kDeviceReplaced);
  EXPECT_EQ(list.Find("x", "x", "j", kNow), RevocationReason::kAdminRevoked);
  EXPECT_FALSE(list.Find("d", "j", "s", kNow)) << "a value of one kind is none of another";
  EXPECT_FALSE(list.Find("", "", "", kNow));
  EXPECT_FALSE(list.Find("s", "", "", kNow + 10));
  list.Expire(kNow + 10);
  EXPECT_EQ(list.size(), 1u);
}

TEST(RevocationList, ALaterEndCountsAnEarlierOneDoesNot) {
  RevocationList list(100);
  list.Add({Kind::kToken, "j", "admin_revoked", kNow + 10}, kNow);
  list.Add({Kind::kToken, "j", "admin_revoked", kNow + 5}, kNow);
  EXPECT_TRUE(list.Find("", "", "j", kNow + 9));
  list.Add({Kind::kToken, "j", "token_replay", kNow + 20}, kNow);
  EXPECT_EQ(list.Find("", "", "j", kNow + 19), RevocationReason::kTokenReplay);
  list.Expire(kNow + 15);
  EXPECT_EQ(list.size(), 1u);
}

TEST(RevocationList, IsBounded) {
  RevocationList list(3);
  for (int i = 0; i < 5; ++i) list.Add({Kind::kToken, std::to_string(i), "admin_revoked", kNow + 100 + i}, kNow);
  EXPECT_EQ(list.size(), 3u);
  EXPECT_EQ(list.OverflowCount(), 2u);
  EXPECT_FALSE(list.Find("", "", "0", kNow)) << "the one that ends first went";
  EXPECT_TRUE(list.Find("", "", "4", kNow));
}

TEST(TokenVerifier, RefusesWhatIsRevokedLast) {
  RevocationList list(100);
  const auto keys = std::make_shared<Current<KeySet>>(std::make_shared<KeySet>(TestKeyring()));
  const TokenVerifier verifier(keys, {"openagents", "oa-sync"}, &list);
  const auto fault = [&](const Json& claims) {
    return std::string(TokenFaultName(verifier.Verify(SignToken(claims), kNow).fault));
  };
  list.Add({Kind::kToken, "id-1", "admin_revoked", 0}, kNow);
  list.Add({Kind::kSession, "s1", "admin_revoked", 0}, kNow);
  list.Add({Kind::kDevice, "d1", "admin_revoked", 0}, kNow);
  Json claims = TestClaims(kNow);
  EXPECT_EQ(fault(claims), "token_revoked");
  claims["iss"] = "else";
  EXPECT_EQ(fault(claims), "claim_mismatch");
  claims = TestClaims(kNow);
  claims["jti"] = "id-2";
  EXPECT_EQ(fault(claims), "none");
  claims["oa_session_id"] = "s1";
  EXPECT_EQ(fault(claims), "token_revoked");
  claims["oa_session_id"] = "s2";
  claims["oa_device_id"] = "d1";
  EXPECT_EQ(fault(claims), "token_revoked");
}

Event EventOf(const Json& payload, Op op = Op::kUpsert) {
  Event event;
  event.topic = kRevocationsTopic;
  event.op = op;
  event.json = Json{{"topic", event.topic}, {"payload", payload}}.dump();
  return event;
}

TEST(RevocationFeed, ReadsEvents) {
  const auto revocation =
      ParseRevocation(EventOf({{"kind", "device"}, {"value", "d"}, {"reason", "token_replay"}, {"expires_at", 5}}));
  ASSERT_TRUE(revocation);
  EXPECT_EQ(revocation->kind, Kind::kDevice);
  EXPECT_EQ(revocation->value, "d");
  EXPECT_EQ(revocation->reason, "token_replay");
  EXPECT_EQ(revocation->expires_at_s, 5);
  for (const Json& bad :
       {Json(), Json(5), Json::object(), Json{{"kind", "user"}, {"value", "d"}, {"reason", "x"}, {"expires_at", 5}},
        Json{{"kind", "jti"}, {"value", 5}, {"reason", "x"}, {"expires_at", 5}}}) {
    EXPECT_FALSE(ParseRevocation(EventOf(bad))) << bad;
  }
}

// Answers when it is told to.
class FakeDatabase final : public Database {
 public:
  void ReadSnapshot(SnapshotQuestion, DocumentCallback) override {}
  void ReadDocument(std::string, std::string, DocumentCallback) override {}
  void ReadRevocations(RevocationsCallback done) override { reads.push_back(std::move(done)); }
  void Revoke(std::vector<Revocation>, DoneCallback) override {}
  void EmitCanary(DoneCallback) override {}
  void Answer(const RevocationAnswer& answer) {
    const auto waiting = std::exchange(reads, {});
    for (const auto& done : waiting) done(answer);
  }
  std::vector<RevocationsCallback> reads;
};

struct FeedFixture {
  FakeSource source;
  Router router{&source};
  SystemTopics topics{router};
  FakeDatabase database;
  RevocationList list{100};
  FakeClock clock;
  std::vector<Revocation> told;
  RevocationFeed feed{database, topics, list, clock, [this](const std::vector<Revocation>& more) {
                        told.insert(told.end(), more.begin(), more.end());
                      }};
};

TEST(RevocationFeed, ReadsAllAtTheStartAndWheneverItFollowsAnew) {
  FeedFixture f;
  EXPECT_FALSE(f.list.IsKnown());
  f.feed.Tick();
  ASSERT_EQ(f.database.reads.size(), 1u);
  f.topics.PostFollowing({kRevocationsTopic});
  EXPECT_EQ(f.database.reads.size(), 1u) << "one at a time";
  f.database.Answer({{}, {{Kind::kToken, "j", "admin_revoked", 0}}});
  EXPECT_TRUE(f.list.IsKnown());
  EXPECT_EQ(f.told.size(), 1u);
  EXPECT_EQ(f.database.reads.size(), 1u) << "the answer may be older than the following: once more";
  f.database.Answer({});
  f.feed.Tick();
  EXPECT_TRUE(f.database.reads.empty());
  EXPECT_TRUE(f.list.Find("", "", "j", kNow));
}

TEST(RevocationFeed, TriesOnWhenTheDatabaseIsAway) {
  FeedFixture f;
  f.feed.Tick();
  f.database.Answer({{"", "away"}, {}});
  EXPECT_FALSE(f.list.IsKnown());
  f.feed.Tick();
  EXPECT_TRUE(f.database.reads.empty()) << "after a pause";
  f.clock.Advance(1000);
  f.feed.Tick();
  EXPECT_EQ(f.database.reads.size(), 1u);
  f.database.Answer({});
  EXPECT_TRUE(f.list.IsKnown());
}

TEST(RevocationFeed, AnEventWithoutItsPayloadIsReadFromTheTable) {
  FeedFixture f;
  f.feed.Tick();
  f.database.Answer({});
  const auto post = [&](const Event& event) { f.topics.PostEvents({std::make_shared<Event>(event)}); };
  post(EventOf({{"kind", "jti"}, {"value", "j"}, {"reason", "token_replay"}, {"expires_at", 0}}));
  EXPECT_TRUE(f.list.Find("", "", "j", kNow));
  EXPECT_TRUE(f.database.reads.empty());
  post(EventOf(Json()));
  EXPECT_EQ(f.database.reads.size(), 1u);
}

TEST(RevocationFeed, ARowThatIsSeenAfterItsEventIsReadLater) {
  FeedFixture f;
  f.feed.Tick();
  f.database.Answer({});
  f.topics.PostEvents({std::make_shared<Event>(EventOf(Json()))});
  ASSERT_EQ(f.database.reads.size(), 1u);
  f.database.Answer({});
  f.feed.Tick();
  EXPECT_TRUE(f.database.reads.empty()) << "after a pause";
  f.clock.Advance(1000);
  f.feed.Tick();
  ASSERT_EQ(f.database.reads.size(), 1u);
  f.database.Answer({{}, {{Kind::kToken, "j", "admin_revoked", 0}}});
  EXPECT_EQ(f.told.size(), 1u);
  int reads = 0;
  for (int s = 0; s < 600; ++s) {
    f.clock.Advance(1000);
    f.feed.Tick();
    reads += static_cast<int>(f.database.reads.size());
    f.database.Answer({});
  }
  EXPECT_GT(reads, 0);
  EXPECT_LT(reads, 10) << "not for ever";
}

std::unique_ptr<FakeSocket> ConnectAs(HubFixture& f, const std::string& session_id, const std::string& token_id) {
  auto grant = std::make_shared<Grant>();
  grant->subject = "user-1";
  grant->session_id = session_id;
  grant->token_id = token_id;
  grant->expires_at = f.clock.wall_ms / 1000 + 300;
  grant->scopes.Add({"", true});
  auto socket = std::make_unique<FakeSocket>();
  socket->session = std::make_shared<Session>(f.hub, *socket, std::move(grant));
  return socket;
}

TEST(Sessions, ThoseOfARevocationAreToldAndClosed) {
  RevocationList list(100);
  HubFixture f({}, &list);
  const auto revoked = ConnectAs(f, "s1", "j1");
  const auto other = ConnectAs(f, "s2", "j2");
  auto gone = ConnectAs(f, "s1", "j3");
  gone.reset();
  f.Join(*revoked);
  f.Join(*other);
  const std::vector<Revocation> batch = {{Kind::kSession, "s1", "security_policy", 0}};
  f.hub.EndRevoked(batch);
  EXPECT_EQ(revoked->close_code, 0) << "only what the list has";
  list.Add(batch[0], kNow);
  f.hub.EndRevoked(batch);
  EXPECT_EQ(revoked->close_code, kClosePolicy);
  const Json notice = HubFixture::Next(*revoked).value();
  EXPECT_EQ(notice[3], "sync:error");
  EXPECT_EQ(notice[4]["code"], "reauth_required");
  EXPECT_EQ(notice[4]["reason"], "security_policy");
  EXPECT_EQ(other->close_code, 0);
  EXPECT_FALSE(HubFixture::Next(*other));
  // Connected while the list was being written: its first timer sees it.
  const auto late = ConnectAs(f, "s1", "j4");
  late->session->OnTimer();
  EXPECT_EQ(late->close_code, kClosePolicy);
}

TEST(Sessions, ANewTokenMayNotBeAWayAround) {
  Grant first;
  first.subject = "u";
  first.org_id = "o";
  first.session_id = "s";
  Grant next = first;
  EXPECT_TRUE(ContinuesAs(first, next));
  next.device_id = "d";
  EXPECT_TRUE(ContinuesAs(first, next));
  EXPECT_FALSE(ContinuesAs(next, first)) << "the device is lost";
  next.org_id = "p";
  EXPECT_FALSE(ContinuesAs(first, next));
  next = first;
  next.session_id = "t";
  EXPECT_FALSE(ContinuesAs(first, next));
  next = first;
  next.subject = "v";
  EXPECT_FALSE(ContinuesAs(first, next));
}

}  // namespace
}  // namespace oasync
