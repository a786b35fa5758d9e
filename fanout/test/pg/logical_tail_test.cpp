// PgSource against a server with the real extension: the slot, its loss, and the way between it and the journal.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "openagents/sync/v1/sync.pb.h"
#include "pg/pg_source.h"
#include "recording_sink.h"
#include "test_cluster.h"

namespace oasync::pgtest {
namespace {

using std::chrono::seconds;

std::string Emit(const std::string& topic, int key = 1, const std::string& payload = "{\"n\":1}") {
  return "SELECT runtime.sync_emit('" + topic + "', 'doc:" + std::to_string(key) + "', NULL, '" + payload + "');";
}

std::string OpText(Op op) {
  switch (op) {
    case Op::kUpsert:
      return "upsert";
    case Op::kDelete:
      return "delete";
    case Op::kTruncate:
      return "truncate";
    case Op::kVoid:
      break;
  }
  return "void";
}

// An event as the journal's rows are written in JournalOf().
std::string Describe(const Event& event) {
  openagents::sync::v1::Update update;
  update.ParseFromString(event.proto);
  const std::string key = event.op == Op::kVoid ? "" : update.doc_key();
  return std::to_string(event.watermark) + "|" + OpText(event.op) + "|" + key + "|" + update.payload();
}

class LogicalTailTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    ASSERT_TRUE(ExtensionInstalled()) << "install the extension first: make install";
    cluster_ = new TestCluster({"shared_preload_libraries = 'oa_sync'"});
    cluster_->Sql("CREATE EXTENSION oa_sync");
  }
  static void TearDownTestSuite() {
    delete cluster_;
    cluster_ = nullptr;
  }
  void SetUp() override {
    ASSERT_NE(cluster_, nullptr);
    options_.conninfo = cluster_->conninfo();
    options_.journal_poll_ms = 20;
    options_.reconnect_max_ms = 300;
  }
  void TearDown() override {
    if (source_ != nullptr) source_->Stop();
    EXPECT_EQ(sink_.faults(), std::vector<std::string>{});
  }

  void StartSource() {
    source_ = std::make_unique<PgSource>(options_, sink_);
    source_->Start();
  }
  void StartLive() {
    StartSource();
    ASSERT_TRUE(sink_.WaitForMode(TailMode::kLogical));
  }
  void Follow(const std::string& topic) {
    source_->Follow(topic);
    ASSERT_TRUE(sink_.WaitForFollowings(topic, 1));
  }
  static uint64_t Head(const std::string& topic) {
    return std::stoull(cluster_->Value("SELECT head FROM runtime.sync_topic_heads(ARRAY['" + topic + "'])"));
  }
  static std::vector<std::string> JournalOf(const std::string& topic, uint64_t after) {
    return cluster_->Sql(
        "SELECT watermark || '|' || op || '|' || CASE op WHEN 'void' THEN '' ELSE doc_key END || '|' ||"
        " CASE WHEN op IN ('upsert') THEN payload::text ELSE '' END FROM runtime.sync_stream_events"
        " WHERE topic = '" +
        topic + "' AND watermark > " + std::to_string(after) + " ORDER BY watermark");
  }
  // All that the sink got since the topic's (only) following is all that the journal has since.
  void ExpectEqualToJournal(const std::string& topic) {
    ASSERT_TRUE(sink_.WaitForWatermark(topic, Head(topic))) << topic << " stands at " << sink_.topic(topic).last;
    const RecordingSink::Topic got = sink_.topic(topic);
    ASSERT_EQ(got.followings.size(), 1u) << topic;
    std::vector<std::string> events;
    for (const auto& event : got.events) events.push_back(Describe(*event));
    EXPECT_EQ(events, JournalOf(topic, got.followings[0].head)) << topic;
  }
  static std::string WalsenderPid() {
    return cluster_->Value("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walsender'");
  }

  static TestCluster* cluster_;
  PgSourceOptions options_;
  RecordingSink sink_;
  std::unique_ptr<PgSource> source_;
};

TestCluster* LogicalTailTest::cluster_ = nullptr;

// Writers that go on whatever happens to the server, with rollbacks and savepoints, on a hot and on cold topics.
class Writers {
 public:
  Writers(std::string conninfo, std::string prefix, int count)
      : conninfo_(std::move(conninfo)), prefix_(std::move(prefix)) {
    for (int i = 0; i < count; ++i) threads_.emplace_back([this, i] { Run(i); });
  }
  ~Writers() { Stop(); }
  void Stop() {
    stop_ = true;
    for (auto& thread : threads_) thread.join();
    threads_.clear();
  }
  uint64_t committed() const { return committed_; }

 private:
  void Run(int number) {
    std::mt19937 random(static_cast<uint32_t>(number));
    while (!stop_) {
      try {
        TestSession session(conninfo_);
        while (!stop_) {
          const std::string cold = prefix_ + ":cold:" + std::to_string(random() % 20);
          std::string sql = random() % 4 == 0 ? "SET synchronous_commit = off;" : "SET synchronous_commit = on;";
          sql += "BEGIN;" + Emit(prefix_ + ":hot", static_cast<int>(random() % 100));
          if (random() % 3 == 0) sql += "SAVEPOINT s;" + Emit(cold) + "ROLLBACK TO s;";
          if (random() % 2 == 0) sql += Emit(cold, number) + Emit(prefix_ + ":hot", number);
          sql += random() % 5 == 0 ? "ROLLBACK" : "COMMIT";
          session.Run(sql);
          ++committed_;
        }
      } catch (const std::runtime_error&) {
        // The server is away; try again.
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
    }
  }

  const std::string conninfo_;
  const std::string prefix_;
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> committed_{0};
  std::vector<std::thread> threads_;
};

TEST_F(LogicalTailTest, EventsComeFromTheSlot) {
  StartLive();
  Follow("live");
  cluster_->Sql(Emit("live", 1, "{\"text\":\"é\\u0001\"}") + Emit("live", 2));
  ASSERT_TRUE(sink_.WaitForWatermark("live", 2));
  ExpectEqualToJournal("live");
  // A topic that was just followed is read from the journal too, which may be faster.
  EXPECT_TRUE(Eventually([&] { return source_->stats().stream_messages >= 2; }));
  EXPECT_TRUE(Eventually([&] { return source_->stats().slot_wal_position > 0; }));
  EXPECT_EQ(
      cluster_->Value("SELECT temporary AND active FROM pg_replication_slots WHERE slot_name LIKE 'oa\\_sync\\_%'"),
      "t");
}

// The server would say by itself that it is there, every half minute: not here.
TEST_F(LogicalTailTest, ProgressWithoutAnyEvent) {
  cluster_->Sql("ALTER SYSTEM SET wal_sender_timeout = 0");
  cluster_->Sql("SELECT pg_reload_conf()");
  ASSERT_TRUE(Eventually([] { return cluster_->Value("SHOW wal_sender_timeout") == "0"; }));
  StartLive();
  const int64_t before = source_->stats().last_progress_us;
  EXPECT_TRUE(Eventually([&] { return source_->stats().last_progress_us > before + 4'000'000; }));
  EXPECT_TRUE(sink_.WaitForMode(TailMode::kLogical));
  cluster_->Sql("ALTER SYSTEM RESET wal_sender_timeout");
  cluster_->Sql("SELECT pg_reload_conf()");
}

TEST_F(LogicalTailTest, TheSlotsWalIsReleased) {
  StartLive();
  const auto lag = [] {
    return std::stoll(
        cluster_->Value("SELECT pg_current_wal_insert_lsn() - confirmed_flush_lsn FROM pg_replication_slots"));
  };
  cluster_->Sql("CREATE TABLE IF NOT EXISTS ballast AS SELECT g, repeat('x', 100) FROM generate_series(1, 50000) g");
  EXPECT_TRUE(Eventually([&] { return lag() < 100'000; }));
  cluster_->Sql("DROP TABLE ballast");
}

TEST_F(LogicalTailTest, RunsOnTheJournalWhileTheSlotWaits) {
  TestSession open(cluster_->conninfo());
  open.Run("BEGIN;" + Emit("slow"));  // and a transaction id
  open.Run("SELECT pg_current_xact_id()");
  StartSource();
  Follow("slow");
  Follow("quick");
  ASSERT_TRUE(Eventually([] {
    return cluster_->Value(
               "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walsender'"
               " AND query LIKE 'CREATE_REPLICATION_SLOT%' AND wait_event IS NOT NULL") == "1";
  }));
  for (int i = 0; i < 50; ++i) cluster_->Sql(Emit("quick", i));
  EXPECT_TRUE(sink_.WaitForWatermark("quick", 50));
  EXPECT_EQ(sink_.modes(), std::vector<TailMode>{TailMode::kJournal});
  Writers writers(cluster_->conninfo(), "switch", 4);
  Follow("switch:hot");
  open.Run("COMMIT");
  ASSERT_TRUE(sink_.WaitForMode(TailMode::kLogical));
  const uint64_t then = writers.committed();
  ASSERT_TRUE(Eventually([&] { return writers.committed() > then + 500; }));
  writers.Stop();
  for (const char* topic : {"slow", "quick", "switch:hot"}) ExpectEqualToJournal(topic);
}

TEST_F(LogicalTailTest, StopEndsTheBackendThatCreatesTheSlot) {
  TestSession open(cluster_->conninfo());
  open.Run("BEGIN; SELECT pg_current_xact_id()");
  StartSource();
  ASSERT_TRUE(Eventually([] {
    return cluster_->Value(
               "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE_REPLICATION_SLOT%'"
               " AND wait_event IS NOT NULL") == "1";
  }));
  // It is ended over the connection of the tail's own reads. What it waits for does not end.
  ASSERT_TRUE(sink_.WaitForMode(TailMode::kJournal));
  source_->Stop();
  EXPECT_TRUE(Eventually([] { return cluster_->Value("SELECT count(*) FROM pg_replication_slots") == "0"; }));
}

// A commit is decoded before it is visible, under synchronous replication possibly long before. Who begins to follow
// in between sees a head without the event and a stream that has it behind.
TEST_F(LogicalTailTest, ACommitThatIsNotVisibleYetIsNotMissed) {
  StartLive();
  Follow("known");
  cluster_->Sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
  cluster_->Sql("SELECT pg_reload_conf()");
  ASSERT_TRUE(Eventually([] { return cluster_->Value("SHOW synchronous_standby_names") == "nobody"; }));
  // That commits wait is up to the checkpointer, which looks at the settings between what it is asked to do.
  for (int i = 0; i < 2; ++i) cluster_->Sql("CHECKPOINT");
  std::thread writer([] {
    try {
      TestSession session(cluster_->conninfo());
      session.Run("BEGIN;" + Emit("known") + Emit("unknown") + "COMMIT");
    } catch (const std::runtime_error&) {
    }
  });
  EXPECT_TRUE(sink_.WaitForWatermark("known", 1));  // from the slot
  EXPECT_EQ(Head("unknown"), 0u);
  source_->Follow("unknown");
  EXPECT_TRUE(sink_.WaitForFollowings("unknown", 1));
  EXPECT_EQ(sink_.topic("unknown").followings[0].head, 0u);
  {
    TestSession reset(cluster_->conninfo());
    reset.Run("SET synchronous_commit = local");
    reset.Run("ALTER SYSTEM RESET synchronous_standby_names");
    reset.Run("SELECT pg_reload_conf()");
  }
  writer.join();
  EXPECT_TRUE(sink_.WaitForWatermark("unknown", 1, seconds(20)));
}

TEST_F(LogicalTailTest, TheWalsenderIsEndedUnderLoad) {
  StartLive();
  Follow("ended:hot");
  for (int i = 0; i < 20; ++i) Follow("ended:cold:" + std::to_string(i));
  Writers writers(cluster_->conninfo(), "ended", 4);
  for (int round = 0; round < 5; ++round) {
    const uint64_t then = writers.committed();
    ASSERT_TRUE(Eventually([&] { return writers.committed() > then + 200; }));
    const std::string pid = WalsenderPid();
    cluster_->Sql("SELECT pg_terminate_backend(" + pid + ")");
    ASSERT_TRUE(Eventually([&] {
      const std::string now = WalsenderPid();
      return !now.empty() && now != pid;
    }));
    ASSERT_TRUE(sink_.WaitForMode(TailMode::kLogical));
  }
  writers.Stop();
  ExpectEqualToJournal("ended:hot");
  for (int i = 0; i < 20; ++i) ExpectEqualToJournal("ended:cold:" + std::to_string(i));
}

TEST_F(LogicalTailTest, CrashesUnderLoad) {
  StartLive();
  Follow("crash:hot");
  for (int i = 0; i < 20; ++i) Follow("crash:cold:" + std::to_string(i));
  Writers writers(cluster_->conninfo(), "crash", 4);
  const auto busy = [&] {
    const uint64_t then = writers.committed();
    ASSERT_TRUE(Eventually([&] { return writers.committed() > then + 200; }));
  };
  busy();
  // A killed walsender makes the postmaster restart everything.
  cluster_->Kill(std::stoi(WalsenderPid()), SIGKILL);
  busy();
  for (const int signal : {SIGQUIT, SIGKILL, SIGINT}) {
    cluster_->Stop(signal);
    cluster_->Start();
    busy();
  }
  writers.Stop();
  ExpectEqualToJournal("crash:hot");
  for (int i = 0; i < 20; ++i) ExpectEqualToJournal("crash:cold:" + std::to_string(i));
  EXPECT_TRUE(sink_.WaitForMode(TailMode::kLogical));
}

// The server ends a slot that holds too much, without a word to its reader.
TEST_F(LogicalTailTest, ASlotThatIsInvalidatedForItsWal) {
  cluster_->Sql("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'");
  cluster_->Sql("SELECT pg_reload_conf()");
  StartLive();
  Follow("held");
  const std::string pid = WalsenderPid();
  const auto& stats = source_->stats();
  ASSERT_TRUE(Eventually([&] { return stats.slot_retained_bytes > 0; }));  // it has been looked at
  sink_.Block();
  cluster_->Sql(Emit("held"));
  // The tail stands still and acknowledges nothing, while others write.
  ASSERT_TRUE(Eventually([&] {
    cluster_->Sql("SELECT pg_switch_wal(), pg_logical_emit_message(false, 'x', repeat('x', 100000))");
    cluster_->Sql("CHECKPOINT");
    return WalsenderPid() != pid;
  }));
  for (int i = 0; i < 50; ++i) cluster_->Sql(Emit("held", i));
  sink_.Release();
  ASSERT_TRUE(sink_.WaitForWatermark("held", 51));
  EXPECT_TRUE(Eventually([&] { return stats.slot_invalidations == 1; }));
  EXPECT_TRUE(Eventually([&] { return stats.mode_changes[static_cast<size_t>(TailReason::kServerGoing)] >= 1; }));
  ASSERT_TRUE(Eventually([&] { return stats.slot_state == static_cast<uint8_t>(SlotState::kLive); }));
  ExpectEqualToJournal("held");
  cluster_->Sql("ALTER SYSTEM RESET max_slot_wal_keep_size");
  cluster_->Sql("SELECT pg_reload_conf()");
}

// An old transaction keeps the slot where it is, and WAL with it.
TEST_F(LogicalTailTest, ASlotThatHoldsMoreThanItMayIsGivenUp) {
  options_.max_slot_wal_bytes = 1 << 20;
  TestSession open(cluster_->conninfo());
  open.Run("BEGIN; SELECT pg_current_xact_id()");
  StartSource();
  Follow("bounded");
  const auto slots = [] { return cluster_->Value("SELECT string_agg(slot_name, ' ') FROM pg_replication_slots"); };
  ASSERT_TRUE(Eventually([&] { return !slots().empty(); }));
  const std::string first = slots();
  cluster_->Sql("SELECT pg_logical_emit_message(false, 'x', repeat('x', 100000)) FROM generate_series(1, 30)");
  EXPECT_TRUE(Eventually([&] { return slots().find(first) == std::string::npos; }));
  cluster_->Sql(Emit("bounded"));
  EXPECT_TRUE(sink_.WaitForWatermark("bounded", 1));
  open.Run("COMMIT");
  EXPECT_TRUE(sink_.WaitForMode(TailMode::kLogical));
}

TEST_F(LogicalTailTest, WhatTheSlotHoldsAndHowFarItIsBehindIsShown) {
  StartLive();
  Follow("behind");
  const auto& stats = source_->stats();
  ASSERT_TRUE(Eventually([&] { return stats.slot_retained_bytes > 0; }));
  EXPECT_EQ(stats.slot_state, static_cast<uint8_t>(SlotState::kLive));
  EXPECT_EQ(stats.mode_changes[static_cast<size_t>(TailReason::kSlotLive)], 1u);
  cluster_->Sql(Emit("behind"));
  EXPECT_TRUE(Eventually([&] { return stats.stream_bytes > 0; }));
  EXPECT_TRUE(Eventually([&] { return stats.mode_ms[static_cast<size_t>(TailMode::kLogical)] > 0; }));
  EXPECT_TRUE(Eventually([&] { return stats.slot_lag_bytes == 0 && stats.slot_lag_ms == 0; }));
}

TEST_F(LogicalTailTest, FollowAndUnfollowUnderLoad) {
  StartLive();
  Writers writers(cluster_->conninfo(), "churn", 4);
  std::mt19937 random(1);
  for (int i = 0; i < 300; ++i) {
    const std::string topic = "churn:cold:" + std::to_string(random() % 20);
    sink_.Forget(topic);
    source_->Follow(topic);
    ASSERT_TRUE(sink_.WaitForFollowings(topic, 1));
    const uint64_t last = sink_.topic(topic).last;
    ASSERT_TRUE(i % 3 != 0 || sink_.WaitForWatermark(topic, last + 1));
    source_->Unfollow(topic);
    // The last events may be on their way; the next heads are asked after Unfollow was obeyed.
    source_->Follow("churn:marker:" + std::to_string(i));
    ASSERT_TRUE(sink_.WaitForFollowings("churn:marker:" + std::to_string(i), 1));
  }
  writers.Stop();
}

TEST_F(LogicalTailTest, ManyTopicsAndABigTransaction) {
  constexpr int kTopics = 100'000;
  StartLive();
  for (int i = 0; i < kTopics; ++i) source_->Follow("many:" + std::to_string(i));
  ASSERT_TRUE(sink_.WaitForFollowings("many:" + std::to_string(kTopics - 1), 1, seconds(60)));
  cluster_->Sql(
      "SELECT runtime.sync_emit('many:' || (g % 5), 'doc:' || g, NULL, '{\"n\":1}') FROM generate_series(1, 20000) g");
  for (int i = 0; i < 5; ++i) ExpectEqualToJournal("many:" + std::to_string(i));
}

}  // namespace
}  // namespace oasync::pgtest
