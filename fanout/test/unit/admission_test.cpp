// Admission: what a storm is let do at once, and when those who are refused are told to come back.
#include <gtest/gtest.h>

#include <set>

#include "fakes.h"
#include "follower.h"
#include "hub/admission.h"

namespace oasync {
namespace {

constexpr int64_t kNow = 1000000;

TEST(Admission, JoinsBeyondTheRateAreSpreadOverTheTimeTheyTake) {
  Admission admission({.joins_per_second = 100}, kNow);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(admission.AdmitJoin(kNow), 0);
  std::multiset<int64_t> waits;
  for (int i = 0; i < 500; ++i) waits.insert(admission.AdmitJoin(kNow));
  // 500 at 100 a second: five seconds, with about a hundred in each.
  EXPECT_GE(*waits.begin(), 1);
  EXPECT_NEAR(static_cast<double>(*waits.rbegin()), 5000, 50);
  for (int second = 0; second < 5; ++second) {
    const auto count = std::distance(waits.lower_bound(second * 1000), waits.lower_bound(second * 1000 + 1000));
    EXPECT_NEAR(static_cast<double>(count), 100, 2);
  }
  EXPECT_EQ(admission.AdmitJoin(kNow + 1000), 0);
}

TEST(Admission, NobodyIsSentAwayForLongerThanHalfAMinute) {
  Admission admission({.joins_per_second = 1}, kNow);
  std::set<int64_t> waits;
  for (int i = 0; i < 1000; ++i) waits.insert(admission.AdmitJoin(kNow));
  EXPECT_LE(*waits.rbegin(), 30000);
  EXPECT_GT(waits.size(), 500u) << "and still each has another time";
}

TEST(Admission, ReplaysHavePlacesAndGiveThemBack) {
  Admission admission({.max_replays = 2}, kNow);
  int64_t wait = 0;
  ReplayPlaceRef first = admission.AdmitReplay(kNow, &wait);
  const ReplayPlaceRef second = admission.AdmitReplay(kNow, &wait);
  EXPECT_TRUE(first && second);
  EXPECT_FALSE(admission.AdmitReplay(kNow, &wait));
  EXPECT_GT(wait, 0);
  second->Release();
  second->Release();
  EXPECT_TRUE(admission.AdmitReplay(kNow, &wait)) << "and given back at once, as nobody keeps it";
  EXPECT_EQ(admission.replays(), 1u);
  first.reset();
  EXPECT_EQ(admission.replays(), 0u);
}

TEST(Admission, ZeroIsNoLimit) {
  Admission admission({.joins_per_second = 0, .max_replays = 0, .max_topics = 0}, kNow);
  int64_t wait = 0;
  for (int i = 0; i < 10000; ++i) {
    EXPECT_EQ(admission.AdmitJoin(kNow), 0);
    EXPECT_TRUE(admission.TakeTopic());
  }
  EXPECT_TRUE(admission.AdmitReplay(kNow, &wait));
}

HubOptions With(AdmissionOptions admission) {
  HubOptions options;
  options.admission = admission;
  return options;
}

TEST(AdmissionOfSessions, AJoinTooManyIsRefusedAndMayComeLater) {
  HubFixture hub(With({.joins_per_second = 1}));
  const auto first = hub.Connect();
  const auto second = hub.Connect();
  EXPECT_EQ(hub.Join(*first)["status"], "ok");
  const Json refused = hub.Join(*second);
  EXPECT_EQ(refused["status"], "error");
  EXPECT_EQ(refused["response"]["code"], "rate_limited");
  const int64_t wait = refused["response"]["retry_after_ms"];
  EXPECT_GT(wait, 0);
  EXPECT_EQ(hub.shared.storms.Read().at("joins"), 1u);
  hub.clock.Advance(wait);
  EXPECT_EQ(hub.Join(*second)["status"], "ok");
}

TEST(AdmissionOfSessions, ReplaysAreCountedUntilTheyHaveCaughtUp) {
  HubFixture hub(With({.max_replays = 1}));
  hub.source.Fill("t", 300);
  const auto first = hub.Connect();
  const auto second = hub.Connect();
  hub.Join(*first, Topics({"t"}));
  const Json refused = hub.Join(*second, Topics({"t"}));
  EXPECT_EQ(refused["response"]["code"], "rate_limited");
  EXPECT_GT(refused["response"]["retry_after_ms"], 0);
  EXPECT_EQ(hub.shared.storms.Read().at("replays"), 1u);
  // Who is current replays nothing.
  EXPECT_EQ(hub.Join(*second, {{"topics", {"t"}}, {"resume_after", {{"t", 300}}}})["status"], "ok");
  hub.TakeAll(*first);
  EXPECT_EQ(hub.admission.replays(), 0u);
  EXPECT_EQ(hub.Join(*hub.Connect(), Topics({"t"}))["status"], "ok");
}

TEST(AdmissionOfSessions, ASlowReplayGivesItsPlaceUpAfterAWhile) {
  HubFixture hub(With({.max_replays = 1}));
  hub.source.Fill("t", 300);
  const auto slow = hub.Connect();
  const auto other = hub.Connect();
  hub.Join(*slow, Topics({"t"}));
  hub.clock.Advance(ReplayPlace::kMostMs);
  hub.hub.Tick();
  EXPECT_EQ(hub.Join(*other, Topics({"t"}))["status"], "ok");
  Follower follower;
  follower.Take(hub.TakeAll(*slow));
  EXPECT_EQ(follower.cursor, 300u);
}

TEST(AdmissionOfSessions, TopicsOfTheServerAreLimitedAndEmptyOnesGoSoon) {
  HubFixture hub(With({.max_topics = 2}));
  const auto client = hub.Connect();
  hub.Join(*client, Topics({"run:1"}));
  const auto subscribe = [&](const std::string& topic) {
    hub.Send(*client, "2", "sync:subscribe", Topics({topic}));
    hub.Settle();
    return hub.Next(*client).value()[4];
  };
  EXPECT_EQ(subscribe("run:2")["status"], "ok");
  const Json refused = subscribe("run:3");
  EXPECT_EQ(refused["response"]["code"], "rate_limited");
  EXPECT_EQ(hub.shared.storms.Read().at("topics"), 1u);
  EXPECT_EQ(subscribe("run:1")["status"], "ok") << "those that are held may be followed";
  hub.Send(*client, "3", "sync:unsubscribe", Topics({"run:2"}));
  hub.Next(*client);
  hub.clock.Advance(1000);
  hub.hub.Tick();
  EXPECT_EQ(subscribe("run:3")["status"], "ok");
}

TEST(AdmissionOfSessions, StatesOfManyTopicsAreAskedForInParts) {
  HubOptions options;
  options.session.max_topics = 1000;
  HubFixture hub(options);
  std::vector<std::unique_ptr<FakeSocket>> clients;
  for (int i = 0; i < 4; ++i) {
    std::vector<std::string> topics;
    topics.reserve(400);
    for (int n = 0; n < 400; ++n) topics.push_back("run:" + std::to_string(i) + ":" + std::to_string(n));
    clients.push_back(hub.Connect());
    hub.Send(*clients.back(), "1", "phx_join", Topics(topics));
  }
  hub.Settle();
  // The first goes alone, as it comes first; of the others two fit into a thousand.
  EXPECT_EQ(hub.source.heads_reads, 3);
  for (const auto& client : clients) EXPECT_EQ(hub.Next(*client).value()[4]["status"], "ok");
}

}  // namespace
}  // namespace oasync
