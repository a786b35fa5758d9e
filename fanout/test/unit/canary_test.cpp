// The canary: when one is sent, what its arrival and its absence say.
#include "hub/canary.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "fakes.h"

namespace oasync {
namespace {

class FakeDatabase final : public Database {
 public:
  void ReadSnapshot(SnapshotQuestion, DocumentCallback) override {}
  void ReadDocument(std::string, std::string, DocumentCallback) override {}
  void ReadRevocations(RevocationsCallback) override {}
  void Revoke(std::vector<Revocation>, DoneCallback) override {}
  void EmitCanary(DoneCallback done) override { asked.push_back(std::move(done)); }

  std::vector<DoneCallback> asked;
};

class CanaryTest : public testing::Test {
 protected:
  void Follow() {
    topics.Start();
    router.OnFollowing({kCanaryTopic, 0, 0, 1});
  }
  void Answer(DatabaseError answer = {}) {
    ASSERT_FALSE(database.asked.empty());
    std::exchange(database.asked, {}).front()(std::move(answer));
  }
  void Arrive() {
    auto event = std::make_shared<Event>(*MakeEvent(kCanaryTopic, ++watermark));
    event->commit_time_us = clock.wall_ms * 1000 - 2500;
    router.OnEvents({event});
  }

  FakeClock clock;
  FakeSource source;
  FakeDatabase database;
  Router router{&source};
  SystemTopics topics{router};
  Canary canary{{5000, 15000}, database, topics, clock};
  uint64_t watermark = 0;
};

TEST_F(CanaryTest, NoneIsSentBeforeItCouldCome) {
  canary.Tick();
  EXPECT_TRUE(database.asked.empty());
  EXPECT_EQ(canary.progress(), Canary::Progress::kNone);
  Follow();
  canary.Tick();
  EXPECT_EQ(database.asked.size(), 1u);
}

TEST_F(CanaryTest, ItsArrivalIsProgressForAWhile) {
  Follow();
  canary.Tick();
  Answer();
  EXPECT_EQ(canary.progress(), Canary::Progress::kNone);  // sent is not arrived
  EXPECT_EQ(canary.age_ms(), -1);
  Arrive();
  EXPECT_EQ(canary.progress(), Canary::Progress::kGood);
  EXPECT_EQ(canary.latency_us(), 2500);
  clock.Advance(15000);
  EXPECT_EQ(canary.progress(), Canary::Progress::kGood);
  EXPECT_EQ(canary.age_ms(), 15000);
  clock.Advance(1);
  EXPECT_EQ(canary.progress(), Canary::Progress::kNone);
  Arrive();
  EXPECT_EQ(canary.progress(), Canary::Progress::kGood);
  EXPECT_EQ(canary.received(), 2u);
}

TEST_F(CanaryTest, TheFirstIsAskedForAgainSoon) {
  Follow();
  canary.Tick();
  Answer();  // somebody else's was sent a moment ago, too early for us
  clock.Advance(499);
  canary.Tick();
  EXPECT_TRUE(database.asked.empty());
  clock.Advance(1);
  canary.Tick();
  EXPECT_EQ(database.asked.size(), 1u);
  Answer({"42501", "permission denied"});  // not that soon where it does not work at all
  clock.Advance(500);
  canary.Tick();
  ASSERT_EQ(database.asked.size(), 1u);
  Answer({"42501", "permission denied"});
  clock.Advance(4999);
  canary.Tick();
  EXPECT_TRUE(database.asked.empty());
}

TEST_F(CanaryTest, OneAnIntervalUnlessSomebodyElsesCame) {
  Follow();
  canary.Tick();
  canary.Tick();
  EXPECT_EQ(database.asked.size(), 1u);
  clock.Advance(6000);
  canary.Tick();  // the first is still under way
  EXPECT_EQ(database.asked.size(), 1u);
  Answer();
  Arrive();
  clock.Advance(4999);
  canary.Tick();
  EXPECT_TRUE(database.asked.empty());
  Arrive();  // another server's
  clock.Advance(4999);
  canary.Tick();
  EXPECT_TRUE(database.asked.empty());
  clock.Advance(1);
  canary.Tick();
  EXPECT_EQ(database.asked.size(), 1u);
}

TEST_F(CanaryTest, WhereNoneCanBeSentItSaysNothing) {
  Follow();
  for (const char* sqlstate : {"42883", "42501", "25006"}) {
    canary.Tick();
    Answer({sqlstate, "no"});
    EXPECT_EQ(canary.progress(), Canary::Progress::kUnknown) << sqlstate;
    clock.Advance(5000);
    canary.Tick();
    Answer({"", "the database is away"});
    EXPECT_EQ(canary.progress(), Canary::Progress::kUnknown);  // nothing new was learnt
    clock.Advance(5000);
    canary.Tick();
    Answer();
    EXPECT_EQ(canary.progress(), Canary::Progress::kNone);  // it was sent and has to come
    clock.Advance(5000);
  }
  EXPECT_EQ(canary.failures(), 6u);
}

TEST_F(CanaryTest, OffIsOff) {
  SystemTopics others(router);
  Canary off({0, 15000}, database, others, clock);
  off.Tick();
  EXPECT_TRUE(database.asked.empty());
  EXPECT_EQ(off.progress(), Canary::Progress::kUnknown);
}

}  // namespace
}  // namespace oasync
