// PgSource on the journal alone, against a server with stand-ins for the extension's functions.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <memory>
#include <mutex>
#include <thread>

#include "pg/pg_source.h"
#include "recording_sink.h"
#include "standin.h"
#include "test_cluster.h"

namespace oasync::pgtest {
namespace {

using std::chrono::seconds;

// One answer, waited for.
template <typename T>
class Answer {
 public:
  std::function<void(ReadResult<T>)> Callback() {
    return [state = state_](ReadResult<T> result) {
      const std::lock_guard lock(state->mutex);
      state->result = std::make_unique<ReadResult<T>>(std::move(result));
      state->count += 1;
      state->changed.notify_all();
    };
  }
  // Null when none comes.
  std::unique_ptr<ReadResult<T>> Wait(seconds limit = seconds(30)) {
    std::unique_lock lock(state_->mutex);
    state_->changed.wait_until(lock, std::chrono::system_clock::now() + limit,
                               [this] { return state_->result != nullptr; });
    return std::move(state_->result);
  }

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    std::unique_ptr<ReadResult<T>> result;
    int count = 0;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

class JournalTailTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { cluster_ = new TestCluster; }
  static void TearDownTestSuite() {
    delete cluster_;
    cluster_ = nullptr;
  }
  void SetUp() override {
    cluster_->Sql("DROP SCHEMA IF EXISTS \"Stand-in\" CASCADE");
    InstallStandin(*cluster_);
    options_.conninfo = cluster_->conninfo();
    options_.schema = kStandinSchema;
    options_.journal_poll_ms = 20;
    options_.tail_auto = false;
    options_.reconnect_max_ms = 200;
  }
  void TearDown() override { EXPECT_EQ(sink_.faults(), std::vector<std::string>{}); }

  void StartSource() {
    source_ = std::make_unique<PgSource>(options_, sink_);
    source_->Start();
  }
  static void Insert(const std::string& topic, uint64_t first, uint64_t last) {
    std::string sql;
    for (uint64_t w = first; w <= last; ++w) sql += InsertEvent(topic, w);
    cluster_->Sql(sql);
  }
  std::unique_ptr<ReadResult<std::vector<EventRef>>> ReadAfter(const std::string& topic, uint64_t after,
                                                               uint32_t events = 100, uint64_t bytes = 1 << 20) {
    Answer<std::vector<EventRef>> answer;
    source_->ReadAfter(topic, after, events, bytes, answer.Callback());
    return answer.Wait();
  }

  static TestCluster* cluster_;
  PgSourceOptions options_;
  RecordingSink sink_;
  std::unique_ptr<PgSource> source_;
};

TestCluster* JournalTailTest::cluster_ = nullptr;

TEST_F(JournalTailTest, ReadsHeadsAndEvents) {
  Insert("a", 1, 10);
  StartSource();
  Answer<std::vector<TopicState>> heads;
  source_->ReadHeads({"b", "a"}, heads.Callback());
  const auto states = heads.Wait();
  ASSERT_TRUE(states != nullptr && states->ok()) << (states ? states->error : "");
  ASSERT_EQ(states->value.size(), 2u);
  EXPECT_EQ(states->value[0].topic, "b");
  EXPECT_EQ(states->value[0].head, 0u);
  EXPECT_EQ(states->value[1].head, 10u);
  EXPECT_EQ(states->value[1].epoch, 1u);

  const auto all = ReadAfter("a", 0);
  ASSERT_TRUE(all != nullptr && all->ok());
  ASSERT_EQ(all->value.size(), 10u);
  EXPECT_EQ(all->value[9]->watermark, 10u);
  EXPECT_NE(all->value[9]->json.find("\"payload\":{\"n\":10},"), std::string::npos);
  EXPECT_EQ(ReadAfter("a", 4, 3)->value.size(), 3u);
  EXPECT_EQ(ReadAfter("a", 4, 100, 1)->value.size(), 1u);
  EXPECT_EQ(ReadAfter("a", 10)->value.size(), 0u);
  EXPECT_EQ(ReadAfter("unknown", 0)->value.size(), 0u);
}

TEST_F(JournalTailTest, BadTopicsAreRefusedAndHarmNobody) {
  StartSource();
  EXPECT_FALSE(ReadAfter("bad topic'; --", 0)->ok());
  EXPECT_FALSE(ReadAfter("", 0)->ok());
  EXPECT_FALSE(ReadAfter("\xff", 0)->ok());
  source_->Follow("\xff");
  source_->Follow("good");
  EXPECT_TRUE(sink_.WaitForFollowings("good", 1));
}

TEST_F(JournalTailTest, FollowsFromTheHead) {
  Insert("a", 1, 3);
  StartSource();
  source_->Follow("a");
  source_->Follow("new");
  ASSERT_TRUE(sink_.WaitForFollowings("a", 1));
  ASSERT_TRUE(sink_.WaitForFollowings("new", 1));
  EXPECT_EQ(sink_.topic("a").followings[0].head, 3u);
  EXPECT_TRUE(sink_.WaitForMode(TailMode::kJournal));
  Insert("a", 4, 2000);
  Insert("new", 1, 5);
  EXPECT_TRUE(sink_.WaitForWatermark("a", 2000));
  EXPECT_TRUE(sink_.WaitForWatermark("new", 5));
  EXPECT_EQ(sink_.topic("a").events.size(), 1997u);
  EXPECT_EQ(source_->stats().events, 2002u);
  EXPECT_EQ(source_->stats().followed_topics, 2u);
}

TEST_F(JournalTailTest, AGapIsWaitedFor) {
  StartSource();
  source_->Follow("a");
  ASSERT_TRUE(sink_.WaitForFollowings("a", 1));
  TestSession slow(cluster_->conninfo());
  slow.Run("BEGIN;" + InsertEvent("a", 2));
  Insert("a", 1, 1);
  Insert("a", 3, 4);
  ASSERT_TRUE(sink_.WaitForWatermark("a", 1));
  slow.Run("COMMIT");
  EXPECT_TRUE(sink_.WaitForWatermark("a", 4));
}

TEST_F(JournalTailTest, UnfollowAndFollowAgain) {
  Insert("a", 1, 3);
  StartSource();
  source_->Follow("a");
  ASSERT_TRUE(sink_.WaitForFollowings("a", 1));
  source_->Unfollow("a");
  Insert("a", 4, 6);
  source_->Follow("a");
  ASSERT_TRUE(sink_.WaitForFollowings("a", 2));
  EXPECT_EQ(sink_.topic("a").followings[1].head, 6u);
  Insert("a", 7, 7);
  EXPECT_TRUE(sink_.WaitForWatermark("a", 7));
}

TEST_F(JournalTailTest, SurvivesRestartsOfTheServer) {
  StartSource();
  source_->Follow("a");
  ASSERT_TRUE(sink_.WaitForFollowings("a", 1));
  uint64_t watermark = 0;
  for (const int signal : {SIGINT, SIGQUIT, SIGKILL}) {
    Insert("a", watermark + 1, watermark + 10);
    watermark += 10;
    cluster_->Stop(signal);
    cluster_->Start();
    Insert("a", watermark + 1, watermark + 10);
    watermark += 10;
    ASSERT_TRUE(sink_.WaitForWatermark("a", watermark));
  }
  EXPECT_EQ(sink_.topic("a").followings.size(), 1u);
  EXPECT_GE(source_->stats().reconnects, 3u);
}

TEST_F(JournalTailTest, SaysWhenTheDatabaseIsAway) {
  cluster_->Stop(SIGINT);
  options_.read_timeout_ms = 300;
  StartSource();
  source_->Follow("a");
  const auto refused = ReadAfter("a", 0);
  ASSERT_NE(refused, nullptr);
  EXPECT_FALSE(refused->ok());
  cluster_->Start();
  EXPECT_TRUE(sink_.WaitForFollowings("a", 1));
  EXPECT_TRUE(sink_.WaitForMode(TailMode::kJournal));
  // The readers come back by themselves: the first read may be given up before they are there.
  EXPECT_TRUE(Eventually([this] { return ReadAfter("a", 0)->ok(); }));
  cluster_->Stop(SIGINT);
  EXPECT_TRUE(sink_.WaitForMode(TailMode::kDown));
  cluster_->Start();
  EXPECT_TRUE(sink_.WaitForMode(TailMode::kJournal));
}

TEST_F(JournalTailTest, ANewEpochStartsTopicsOver) {
  Insert("a", 1, 5);
  StartSource();
  source_->Follow("a");
  ASSERT_TRUE(sink_.WaitForFollowings("a", 1));
  Insert("a", 6, 7);
  ASSERT_TRUE(sink_.WaitForWatermark("a", 7));
  // A standby is promoted that had not got 6 and 7, and goes on from 5 with other events.
  cluster_->Sql(
      "BEGIN; DELETE FROM \"Stand-in\".journal WHERE watermark > 5;"
      "INSERT INTO \"Stand-in\".epochs VALUES (2);" +
      InsertEvent("a", 6, 2) + InsertEvent("a", 7, 2) + InsertEvent("a", 8, 2) + "COMMIT");
  cluster_->Stop(SIGQUIT);
  cluster_->Start();
  ASSERT_TRUE(sink_.WaitForFollowings("a", 2));
  EXPECT_EQ(sink_.topic("a").followings[1].epoch, 2u);
  cluster_->Sql(InsertEvent("a", 9, 2));
  EXPECT_TRUE(sink_.WaitForWatermark("a", 9));
  EXPECT_EQ(sink_.topic("a").events.back()->epoch, 2u);
  EXPECT_EQ(source_->stats().epoch, 2u);
}

TEST_F(JournalTailTest, AnEpochThatGrowsUnderOpenConnections) {
  Insert("a", 1, 5);
  StartSource();
  source_->Follow("a");
  ASSERT_TRUE(sink_.WaitForFollowings("a", 1));
  cluster_->Sql("INSERT INTO \"Stand-in\".epochs VALUES (2);" + InsertEvent("a", 6, 2));
  ASSERT_TRUE(sink_.WaitForFollowings("a", 2));
  EXPECT_EQ(sink_.topic("a").followings[1].epoch, 2u);
  cluster_->Sql(InsertEvent("a", 7, 2));
  EXPECT_TRUE(sink_.WaitForWatermark("a", 7));
  EXPECT_TRUE(ReadAfter("a", 5)->ok());
}

TEST_F(JournalTailTest, AJournalThatWentBackStartsTheTopicOver) {
  Insert("a", 1, 5);
  StartSource();
  source_->Follow("a");
  source_->Follow("b");
  ASSERT_TRUE(sink_.WaitForFollowings("a", 1));
  ASSERT_TRUE(sink_.WaitForFollowings("b", 1));
  cluster_->Sql("DELETE FROM \"Stand-in\".journal WHERE watermark > 3");
  cluster_->Stop(SIGQUIT);
  cluster_->Start();
  ASSERT_TRUE(sink_.WaitForFollowings("a", 2));
  EXPECT_EQ(sink_.topic("a").followings[1].head, 3u);
  EXPECT_EQ(sink_.topic("b").followings.size(), 1u);
  Insert("a", 4, 4);
  EXPECT_TRUE(sink_.WaitForWatermark("a", 4));
}

// As the real function answers a cursor below the floor since 0.2.0.
TEST_F(JournalTailTest, ACursorBelowTheFloorIsAnAnswerAndNoFault) {
  Insert("a", 1, 5);
  Insert("b", 1, 5);
  StartSource();
  source_->Follow("a");
  source_->Follow("b");
  ASSERT_TRUE(sink_.WaitForFollowings("a", 1));
  ASSERT_TRUE(sink_.WaitForFollowings("b", 1));
  ASSERT_TRUE(ReadAfter("a", 0)->ok());
  cluster_->Sql(
      "BEGIN; DELETE FROM \"Stand-in\".journal WHERE topic = 'a';" + InsertEvent("a", 21) +
      "CREATE OR REPLACE FUNCTION \"Stand-in\".sync_replay_updates(topic text, after bigint, max_events int,"
      " max_bytes bigint) RETURNS TABLE (watermark bigint, update bytea) LANGUAGE plpgsql STABLE AS $f$ BEGIN"
      " IF topic = 'a' AND after < 20 THEN RAISE 'stale' USING ERRCODE = '55000'; END IF;"
      " RETURN QUERY SELECT j.watermark, j.update FROM \"Stand-in\".journal j WHERE j.topic = $1 AND j.watermark > $2"
      " ORDER BY j.watermark; END $f$;"
      "CREATE OR REPLACE FUNCTION \"Stand-in\".sync_topic_heads(topics text[])"
      " RETURNS TABLE (topic text, head bigint, floor bigint, epoch bigint, allocated bigint) LANGUAGE sql STABLE AS "
      "$f$"
      " SELECT t.topic, h.head, CASE t.topic WHEN 'a' THEN 20 ELSE 0 END, 1::bigint, h.head"
      " FROM unnest(topics) WITH ORDINALITY AS t(topic, n), LATERAL (SELECT coalesce(max(j.watermark), 0) AS head"
      " FROM \"Stand-in\".journal j WHERE j.topic = t.topic) h ORDER BY t.n $f$; COMMIT");
  // The tail starts the one topic over, and the other one goes on.
  ASSERT_TRUE(sink_.WaitForFollowings("a", 2));
  EXPECT_EQ(sink_.topic("a").followings[1].floor, 20u);
  Insert("b", 6, 6);
  EXPECT_TRUE(sink_.WaitForWatermark("b", 6));
  EXPECT_EQ(sink_.topic("b").followings.size(), 1u);
  // A page that is gone is an empty one, over the same connection.
  const auto page = ReadAfter("a", 3);
  EXPECT_TRUE(page->ok()) << page->error;
  EXPECT_TRUE(page->value.empty());
  EXPECT_EQ(source_->stats().reconnects, 0u);
  for (const TailMode mode : sink_.modes()) EXPECT_EQ(mode, TailMode::kJournal);
}

TEST_F(JournalTailTest, EqualReadsAreAnsweredTogether) {
  Insert("a", 1, 100);
  options_.journal_readers = 1;
  StartSource();
  ASSERT_TRUE(ReadAfter("a", 0)->ok());
  const uint64_t before = source_->stats().journal_reads;
  // A lock keeps the only reader busy while the others queue up behind it.
  TestSession locker(cluster_->conninfo());
  locker.Run("BEGIN; LOCK TABLE \"Stand-in\".journal");
  std::vector<Answer<std::vector<EventRef>>> answers(201);
  source_->ReadAfter("a", 1, 10, 1000, answers[200].Callback());
  ASSERT_TRUE(Eventually([] {
    return cluster_->Value(
               "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
               " AND query LIKE '%sync_replay_updates%'") == "1";
  }));
  for (int i = 0; i < 200; ++i) source_->ReadAfter("a", 50, 10, 1 << 20, answers[i].Callback());
  locker.Run("COMMIT");
  for (auto& answer : answers) {
    const auto result = answer.Wait();
    ASSERT_TRUE(result != nullptr && result->ok());
    EXPECT_FALSE(result->value.empty());
  }
  // 200 equal ones cost one read (the tail's polls count too, hence not exactly two).
  EXPECT_LT(source_->stats().journal_reads - before, 100u);
}

TEST_F(JournalTailTest, ManyTopics) {
  constexpr int kTopics = 20'000;
  StartSource();
  for (int i = 0; i < kTopics; ++i) source_->Follow("run:" + std::to_string(i));
  ASSERT_TRUE(sink_.WaitForFollowings("run:" + std::to_string(kTopics - 1), 1, seconds(60)));
  Insert("run:0", 1, 3);
  Insert("run:19999", 1, 3);
  EXPECT_TRUE(sink_.WaitForWatermark("run:0", 3));
  EXPECT_TRUE(sink_.WaitForWatermark("run:19999", 3));
}

// Everything that Stop() could wait for takes ten minutes.
TEST_F(JournalTailTest, StopsAtOnceWhateverItDoes) {
  using Clock = std::chrono::steady_clock;
  const auto stops_at_once = [this] {
    const auto before = Clock::now();
    source_->Stop();
    return Clock::now() - before < seconds(60);
  };
  options_.read_timeout_ms = options_.reconnect_min_ms = options_.reconnect_max_ms = 600'000;
  {  // while a query hangs; the reader is told
    StartSource();
    ASSERT_TRUE(ReadAfter("a", 0)->ok());
    TestSession locker(cluster_->conninfo());
    locker.Run("BEGIN; LOCK TABLE \"Stand-in\".journal");
    Answer<std::vector<EventRef>> answer;
    source_->ReadAfter("a", 1, 10, 1000, answer.Callback());
    source_->Follow("a");
    ASSERT_TRUE(Eventually(
        [] { return cluster_->Value("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") != "0"; }));
    EXPECT_TRUE(stops_at_once());
    const auto result = answer.Wait();
    ASSERT_NE(result, nullptr);
    EXPECT_FALSE(result->ok());
  }
  {  // while the server is away
    options_.conninfo = "host=/nonexistent dbname=x";
    StartSource();
    source_->Follow("a");
    Answer<std::vector<EventRef>> answer;
    source_->ReadAfter("a", 1, 10, 1000, answer.Callback());
    EXPECT_TRUE(stops_at_once());
    ASSERT_NE(answer.Wait(), nullptr);
  }
  {  // while a host does not answer (a documentation address)
    options_.conninfo = "host=192.0.2.1 dbname=x connect_timeout=600";
    StartSource();
    EXPECT_TRUE(stops_at_once());
  }
}

}  // namespace
}  // namespace oasync::pgtest
