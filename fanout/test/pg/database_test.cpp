// PgSource as the Database: documents, revocations and the canary, against a server with the real extension.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "pg/pg_source.h"
#include "recording_sink.h"
#include "test_cluster.h"

namespace oasync::pgtest {
namespace {

using nlohmann::json;
using std::chrono::seconds;

// Stand-ins for the revocations of the extension, which keep what they were told.
constexpr char kRevocationsStandin[] = R"sql(
  CREATE SCHEMA "Re'voked";
  CREATE TABLE "Re'voked".revocations (kind text, value text, reason text, expires_at timestamptz);
  CREATE FUNCTION "Re'voked".sync_revoke(kind text, value text[], reason text, expires_at timestamptz) RETURNS void
    LANGUAGE sql AS $f$ INSERT INTO "Re'voked".revocations SELECT kind, v, reason, expires_at FROM unnest(value) v $f$;
  CREATE FUNCTION "Re'voked".sync_active_revocations() RETURNS SETOF "Re'voked".revocations
    LANGUAGE sql STABLE AS $f$ SELECT * FROM "Re'voked".revocations ORDER BY value $f$;
  CREATE FUNCTION "Re'voked".sync_topic_heads(topics text[])
    RETURNS TABLE (topic text, head bigint, floor bigint, epoch bigint, allocated bigint) LANGUAGE sql STABLE AS
    $f$ SELECT * FROM runtime.sync_topic_heads(topics) $f$;
  CREATE FUNCTION "Re'voked".sync_replay_updates(topic text, after bigint, max_events int, max_bytes bigint)
    RETURNS TABLE (watermark bigint, update bytea) LANGUAGE sql STABLE AS
    $f$ SELECT * FROM runtime.sync_replay_updates(topic, after, max_events, max_bytes) $f$;
)sql";

class DatabaseTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    ASSERT_TRUE(ExtensionInstalled()) << "install the extension first: make install";
    cluster_ = new TestCluster({"shared_preload_libraries = 'oa_sync'"});
    cluster_->Sql("CREATE EXTENSION oa_sync");
    cluster_->Sql(
        "CREATE TABLE notes (id int PRIMARY KEY, body text);"
        "SELECT runtime.sync_publish('notes', topic => 'notes', doc_key => 'note:{id}');"
        "INSERT INTO notes SELECT g, 'body ' || g FROM generate_series(1, 5) g");
  }
  static void TearDownTestSuite() {
    delete cluster_;
    cluster_ = nullptr;
  }
  void SetUp() override {
    ASSERT_NE(cluster_, nullptr);
    options_.conninfo = cluster_->conninfo();
    options_.tail_auto = false;
  }

  void StartSource() {
    source_ = std::make_unique<PgSource>(options_, sink_);
    source_->Start();
  }
  // Most readers connect at their start, asked or not; that of the commands when it is asked. Once all have, a further
  // connection means that one was lost.
  uint64_t ConnectsOnceAllAreThere() {
    (void)Canary();
    const uint64_t all = 2 + options_.journal_readers + options_.document_readers;  // 2: tail, commands
    EXPECT_TRUE(Eventually([&] { return source_->stats().connects == all; })) << source_->stats().connects;
    return all;
  }
  template <typename T, typename Call>
  T Ask(Call call) {
    const auto answer = std::make_shared<std::promise<T>>();
    auto future = answer->get_future();
    call([answer](T value) { answer->set_value(std::move(value)); });
    if (future.wait_for(seconds(30)) != std::future_status::ready) throw std::runtime_error("no answer");
    return future.get();
  }
  DocumentAnswer Snapshot(SnapshotQuestion question) {
    return Ask<DocumentAnswer>([&](auto done) { source_->ReadSnapshot(question, done); });
  }
  DocumentAnswer Document(const std::string& topic, const std::string& key) {
    return Ask<DocumentAnswer>([&](auto done) { source_->ReadDocument(topic, key, done); });
  }
  DatabaseError Revoke(const std::vector<Revocation>& list) {
    return Ask<DatabaseError>([&](auto done) { source_->Revoke(list, done); });
  }
  RevocationAnswer Revocations() {
    return Ask<RevocationAnswer>([&](auto done) { source_->ReadRevocations(done); });
  }
  DatabaseError Canary() {
    return Ask<DatabaseError>([&](auto done) { source_->EmitCanary(done); });
  }

  static TestCluster* cluster_;
  PgSourceOptions options_;
  RecordingSink sink_;
  std::unique_ptr<PgSource> source_;
};

TestCluster* DatabaseTest::cluster_ = nullptr;

TEST_F(DatabaseTest, SnapshotsInPages) {
  StartSource();
  SnapshotQuestion question{"notes", 2, 1 << 20, {}};
  std::vector<std::string> keys;
  for (int page = 0; page < 3; ++page) {
    const DocumentAnswer answer = Snapshot(question);
    ASSERT_TRUE(answer.ok()) << answer.error;
    const json body = json::parse(answer.body);
    for (const auto& document : body["documents"]) keys.push_back(document["doc_key"]);
    EXPECT_EQ(body["topic"], "notes");
    EXPECT_EQ(body["next_page_token"].is_null(), page == 2);
    if (page < 2) question.page_token = body["next_page_token"];
  }
  EXPECT_EQ(keys, (std::vector<std::string>{"note:1", "note:2", "note:3", "note:4", "note:5"}));
}

TEST_F(DatabaseTest, OneDocument) {
  StartSource();
  const DocumentAnswer found = Document("notes", "note:3");
  ASSERT_TRUE(found.ok()) << found.error;
  EXPECT_EQ(json::parse(found.body)["document"]["payload"]["body"], "body 3");
  const DocumentAnswer missing = Document("notes", "note:99");
  ASSERT_TRUE(missing.ok()) << missing.error;
  EXPECT_TRUE(json::parse(missing.body)["document"].is_null());
}

TEST_F(DatabaseTest, ErrorsHaveTheirSqlstateAndCostNoConnection) {
  StartSource();
  ASSERT_TRUE(Document("notes", "note:1").ok());
  const uint64_t connects = ConnectsOnceAllAreThere();
  const uint64_t errors = source_->stats().database_errors;
  EXPECT_EQ(Snapshot({"bad topic", 1, 1000, {}}).sqlstate, "22023");
  EXPECT_EQ(Snapshot({"notes", 1, 1000, "no token"}).sqlstate, "22023");
  EXPECT_EQ(Document("notes", std::string("\xff", 1)).sqlstate, "22021");
  EXPECT_EQ(Document("notes", std::string("a\0b", 3)).sqlstate, "22021");
  EXPECT_TRUE(Document("notes", "note:1").ok());
  EXPECT_EQ(source_->stats().connects, connects);
  EXPECT_EQ(source_->stats().database_errors, errors + 4);
}

// A function that fails as a concurrent rewrite of a table makes the real one fail, the first times.
TEST_F(DatabaseTest, ASerializationFailureIsAskedAgain) {
  cluster_->Sql(
      "CREATE SCHEMA flaky; CREATE SEQUENCE flaky.calls;"
      "CREATE FUNCTION flaky.sync_document_json(topic text, doc_key text) RETURNS bytea LANGUAGE plpgsql AS $f$ BEGIN"
      "  IF nextval('flaky.calls') % 4 <> doc_key::int THEN RAISE 'again' USING ERRCODE = '40001'; END IF;"
      "  RETURN '\\x7b7d'; END $f$;"
      "CREATE FUNCTION flaky.sync_topic_heads(topics text[])"
      " RETURNS TABLE (topic text, head bigint, floor bigint, epoch bigint, allocated bigint) LANGUAGE sql STABLE AS"
      " $f$ SELECT * FROM runtime.sync_topic_heads(topics) $f$;"
      "CREATE FUNCTION flaky.sync_replay_updates(topic text, after bigint, max_events int, max_bytes bigint)"
      " RETURNS TABLE (watermark bigint, update bytea) LANGUAGE sql STABLE AS"
      " $f$ SELECT * FROM runtime.sync_replay_updates(topic, after, max_events, max_bytes) $f$;");
  options_.schema = "flaky";
  StartSource();
  const DocumentAnswer answer = Document("notes", "3");
  EXPECT_TRUE(answer.ok()) << answer.error;
  EXPECT_EQ(answer.body, "{}");
  EXPECT_EQ(Document("notes", "7").sqlstate, "40001");  // never comes true
  cluster_->Sql("DROP SCHEMA flaky CASCADE");
}

TEST_F(DatabaseTest, LargeSnapshotsDoNotHoldUpReplaysAndCommands) {
  StartSource();
  ASSERT_TRUE(Document("notes", "note:1").ok());
  TestSession locker(cluster_->conninfo());
  locker.Run("BEGIN; LOCK TABLE notes");
  std::promise<DocumentAnswer> blocked;
  source_->ReadSnapshot({"notes", 1000, 1 << 20, {}},
                        [&](DocumentAnswer answer) { blocked.set_value(std::move(answer)); });
  ASSERT_TRUE(Eventually(
      [] { return cluster_->Value("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == "1"; }));
  EXPECT_TRUE(Canary().ok());
  const auto heads = Ask<ReadResult<std::vector<TopicState>>>([&](auto done) { source_->ReadHeads({"notes"}, done); });
  EXPECT_TRUE(heads.ok());
  locker.Run("COMMIT");
  EXPECT_TRUE(blocked.get_future().get().ok());
}

TEST_F(DatabaseTest, CanariesComeThrough) {
  StartSource();
  source_->Follow("oa_sync.canary");
  ASSERT_TRUE(sink_.WaitForFollowings("oa_sync.canary", 1));
  const uint64_t head = sink_.topic("oa_sync.canary").last;
  // Another test's may have been a moment ago.
  ASSERT_TRUE(Eventually([&] { return Canary().ok() && sink_.topic("oa_sync.canary").last > head; }));
}

TEST_F(DatabaseTest, WhatAnOlderExtensionLacksIsSaid) {
  cluster_->Sql("CREATE DATABASE older");
  options_.conninfo = cluster_->conninfo() + " dbname=older";
  TestSession older(options_.conninfo);
  older.Run("CREATE EXTENSION oa_sync VERSION '0.1.0'");
  StartSource();
  EXPECT_EQ(Canary().sqlstate, "42883");
  EXPECT_EQ(Revoke({{Revocation::Kind::kToken, "x", "r", 0}}).sqlstate, "42883");
  EXPECT_EQ(Document("notes", "k").sqlstate, "42883");
  // Until it is updated, under the same connections.
  const uint64_t connects = ConnectsOnceAllAreThere();
  older.Run("ALTER EXTENSION oa_sync UPDATE");
  EXPECT_TRUE(Canary().ok());
  EXPECT_EQ(source_->stats().connects, connects);
}

TEST_F(DatabaseTest, RevocationsThereAndBack) {
  cluster_->Sql(kRevocationsStandin);
  options_.schema = "Re'voked";
  StartSource();
  const DatabaseError done = Revoke({{Revocation::Kind::kSession, "s1", "admin_revoked", 4102444800},
                                     {Revocation::Kind::kSession, "s2", "admin_revoked", 4102444800},
                                     {Revocation::Kind::kDevice, "d'\"{}", "lost", 4102444800},
                                     {Revocation::Kind::kToken, "t", "forever", 0}});
  ASSERT_TRUE(done.ok()) << done.error;
  const RevocationAnswer answer = Revocations();
  ASSERT_TRUE(answer.ok()) << answer.error;
  ASSERT_EQ(answer.revocations.size(), 4u);
  EXPECT_EQ(answer.revocations[0].kind, Revocation::Kind::kDevice);
  EXPECT_EQ(answer.revocations[0].value, "d'\"{}");
  EXPECT_EQ(answer.revocations[0].reason, "lost");
  EXPECT_EQ(answer.revocations[1].kind, Revocation::Kind::kSession);
  EXPECT_EQ(answer.revocations[1].expires_at_s, 4102444800);
  EXPECT_EQ(answer.revocations[3].kind, Revocation::Kind::kToken);
  EXPECT_EQ(answer.revocations[3].expires_at_s, 0);
  cluster_->Sql("UPDATE \"Re'voked\".revocations SET kind = 'planet'");
  EXPECT_FALSE(Revocations().ok());
}

TEST_F(DatabaseTest, AnswersWithoutADatabase) {
  options_.conninfo = "host=/nonexistent dbname=x";
  options_.read_timeout_ms = 200;
  StartSource();
  const DocumentAnswer answer = Document("notes", "note:1");
  EXPECT_FALSE(answer.ok());
  EXPECT_EQ(answer.sqlstate, "");
}

TEST_F(DatabaseTest, PoliciesComeWithTheHeads) {
  cluster_->Sql("SELECT runtime.sync_set_policy('vip:*', replay_budget => 7, qos_tier => 'hot')");
  StartSource();
  const auto heads = Ask<ReadResult<std::vector<TopicState>>>([&](auto done) {
    source_->ReadHeads({"vip:1", "runtime.notifications", "notes"}, done);
  });
  ASSERT_TRUE(heads.ok()) << heads.error;
  EXPECT_EQ(heads.value[0].policy.replay_budget, 7u);
  EXPECT_EQ(heads.value[0].policy.qos, QosTier::kHot);
  EXPECT_EQ(heads.value[1].policy.qos, QosTier::kCold);
  EXPECT_EQ(heads.value[2].head, 5u);
  EXPECT_EQ(heads.value[2].policy.qos, QosTier::kWarm);
  source_->Follow("vip:1");
  ASSERT_TRUE(sink_.WaitForFollowings("vip:1", 1));
  EXPECT_EQ(sink_.topic("vip:1").followings[0].policy.replay_budget, 7u);
}

TEST_F(DatabaseTest, PoliciesOfAnExtensionThatIsUpdatedMeanwhile) {
  cluster_->Sql("CREATE DATABASE updated");
  options_.conninfo = cluster_->conninfo() + " dbname=updated";
  TestSession session(options_.conninfo);
  session.Run("CREATE EXTENSION oa_sync VERSION '0.1.0'");
  StartSource();
  const auto tier = [&] {
    return Ask<ReadResult<std::vector<TopicState>>>([&](auto done) { source_->ReadHeads({"vip:1"}, done); })
        .value.at(0)
        .policy.qos;
  };
  EXPECT_EQ(tier(), QosTier::kWarm);
  session.Run("ALTER EXTENSION oa_sync UPDATE; SELECT runtime.sync_set_policy('vip:*', qos_tier => 'hot')");
  EXPECT_TRUE(Eventually([&] { return tier() == QosTier::kHot; }));
}

}  // namespace
}  // namespace oasync::pgtest
