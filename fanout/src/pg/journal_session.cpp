#include "journal_session.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/log.h"
#include "pg_binary.h"
#include "update_codec.h"

namespace oasync::pg {

namespace {

constexpr char kApplicationName[] = "oa-sync-fanout journal";
// Any topic does: an unknown one is answered with the database's epoch.
constexpr char kEpochProbe[] = "oa_sync.epoch";
constexpr size_t kMaxTopicBytes = 160;
// How often what the extension lacks is looked for again: it may be updated, and rights granted, at any time.
constexpr Millis kExtrasInterval{10'000};
constexpr int kSerializationAttempts = 4;
constexpr char kStaleCursor[] = "55000";
constexpr uint64_t kMaxInt8 = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());

int64_t ToInt8(uint64_t value) { return static_cast<int64_t>(std::min(value, kMaxInt8)); }

TopicPolicy PolicyOf(const PGresult* result, int row) {
  TopicPolicy policy;
  policy.replay_budget = UnsignedField(result, row, 4).value_or(0);
  const std::string_view tier = Field(result, row, 5);
  policy.qos = tier == "hot" ? QosTier::kHot : tier == "cold" ? QosTier::kCold : QosTier::kWarm;
  return policy;
}

std::string EventLimit(uint32_t max_events) {
  return BinaryInt4(static_cast<int32_t>(std::min<uint32_t>(max_events, std::numeric_limits<int32_t>::max())));
}

}  // namespace

bool IsTopic(std::string_view topic) {
  if (topic.empty() || topic.size() > kMaxTopicBytes) return false;
  return std::all_of(topic.begin(), topic.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == ':' || c == '/' || c == '-';
  });
}

PgStatus JournalSession::Malformed(const char* what) {
  Close();
  return {PgFault::kServer, std::string("unexpected answer of ") + what};
}

PgStatus JournalSession::Connect(Conninfo* info, int statement_timeout_ms, TimePoint deadline) {
  PgStatus status = connection_.Connect(info, kApplicationName, deadline);
  if (!status.ok()) return status;
  // jit would compile the poll over many topics for longer than it runs.
  status = connection_.Execute("SET statement_timeout = " + std::to_string(statement_timeout_ms) +
                                   "; SET jit = off; SET default_transaction_isolation = 'read committed'",
                               deadline, nullptr);
  asked_.clear();
  if (status.ok()) status = FindSchema(deadline);
  if (status.ok()) status = LookForExtras(deadline);
  if (status.ok()) status = PrepareAll(deadline);
  if (!status.ok()) return status;
  if (!extras_.histories) {
    LogWarn(
        "database.histories_missing",
        "{schema}.sync_topic_histories is not there or not granted: a failover will reset every subscriber (update the "
        "extension, or grant by sync_grant_reader)",
        {{"schema", schema_}});
  }
  std::vector<TopicState> states;
  status = Heads({kEpochProbe}, deadline, &states);
  if (status.ok()) epoch_ = states.front().epoch;
  return status;
}

PgStatus JournalSession::FindSchema(TimePoint deadline) {
  if (!configured_schema_.empty()) {
    schema_ = QuoteIdentifier(configured_schema_);
    return {};
  }
  PgResult result;
  PgStatus status = connection_.Execute(
      "SELECT n.nspname FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace"
      " WHERE e.extname = 'oa_sync'",
      deadline, &result);
  if (!status.ok()) return status;
  if (PQntuples(result.get()) != 1) {
    Close();
    return {PgFault::kServer, "the extension oa_sync is not installed in this database"};
  }
  schema_ = QuoteIdentifier(std::string(Field(result.get(), 0, 0)));
  return {};
}

PgStatus JournalSession::LookForExtras(TimePoint deadline) {
  const auto may_call = [this](const std::string& function) {
    std::string name = schema_ + "." + function;
    for (size_t at = 0; (at = name.find('\'', at)) != std::string::npos; at += 2) name.insert(at, 1, '\'');
    return "coalesce(pg_catalog.has_function_privilege(pg_catalog.to_regprocedure('" + name + "'), 'EXECUTE'), false)";
  };
  PgResult result;
  PgStatus status = connection_.Execute(
      "SELECT " + may_call("sync_topic_histories(text[])") + ", " + may_call("sync_policy_of(text)"), deadline,
      &result);
  if (!status.ok()) return status;
  if (PQntuples(result.get()) != 1) return Malformed("has_function_privilege");
  extras_ = {Field(result.get(), 0, 0) == "t", Field(result.get(), 0, 1) == "t"};
  next_look_ = Clock::now() + kExtrasInterval;
  return {};
}

// The extension may be updated, or the role granted more, while this session is open.
PgStatus JournalSession::LookAgainForExtras(TimePoint deadline) {
  const Extras before = extras_;
  PgStatus status = LookForExtras(deadline);
  if (!status.ok() || extras_ == before) return status;
  status = connection_.Execute("DEALLOCATE heads", deadline, nullptr);
  if (status.ok()) status = PrepareHeads(deadline);
  if (!status.ok()) Close();  // its statement and extras_ may not agree
  return status;
}

PgStatus JournalSession::PrepareHeads(TimePoint deadline) {
  std::string sql = "SELECT h.head, h.floor, h.epoch, h.allocated";
  if (extras_.policies) sql += ", p.replay_budget, p.qos_tier";
  sql += " FROM " + schema_ + ".sync_topic_heads($1::text[]) h";
  if (extras_.policies) sql += ", LATERAL " + schema_ + ".sync_policy_of(h.topic) p";
  return connection_.Prepare("heads", sql, deadline);
}

PgStatus JournalSession::PrepareAll(TimePoint deadline) {
  const std::pair<const char*, std::string> statements[] = {
      {"after",
       "SELECT watermark, update FROM " + schema_ + ".sync_replay_updates($1::text, $2::bigint, $3::int, $4::bigint)"},
      {"poll",
       "SELECT t.n, u.watermark, u.update"
       " FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS t(topic, after, n),"
       " LATERAL " +
           schema_ + ".sync_replay_updates(t.topic, t.after, $3::int, $4::bigint) AS u"},
      // It may commit an empty transaction, which nothing has to wait for.
      {"horizon",
       "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint,"
       " CASE WHEN $1::bool AND NOT pg_is_in_recovery() THEN pg_current_xact_id()::text::bigint ELSE 0 END,"
       " set_config('synchronous_commit', 'off', true)"},
  };
  PgStatus status = PrepareHeads(deadline);
  for (const auto& [name, sql] : statements) {
    if (status.ok()) status = connection_.Prepare(name, sql, deadline);
  }
  return status;
}

PgStatus JournalSession::Ask(const Question& question, TimePoint deadline, PgResultRef* result) {
  if (!asked_.contains(question.name)) {
    std::string sql = question.sql;
    for (size_t at = 0; (at = sql.find('@', at)) != std::string::npos; at += schema_.size()) {
      sql.replace(at, 1, schema_);
    }
    PgStatus status = connection_.Prepare(question.name, sql, deadline);
    if (!status.ok()) return status;
    asked_.insert(question.name);
  }
  for (int attempt = 1;; ++attempt) {
    PgResult answer;
    PgStatus status = connection_.ExecutePrepared(question.name, question.parameters, deadline, &answer);
    if (status.sqlstate == "40001" && attempt < kSerializationAttempts) continue;
    if (status.ok()) *result = std::move(answer);
    return status;
  }
}

PgStatus JournalSession::Heads(const std::vector<std::string>& topics, TimePoint deadline,
                               std::vector<TopicState>* states) {
  if (!std::all_of(topics.begin(), topics.end(), IsTopic)) return {PgFault::kServer, "not a topic"};
  PgResult result;
  PgStatus status;
  if (!(extras_.histories && extras_.policies) && Clock::now() >= next_look_) status = LookAgainForExtras(deadline);
  if (status.ok()) status = connection_.ExecutePrepared("heads", {BinaryTextArray(topics)}, deadline, &result);
  if (!status.ok()) return status;
  if (PQntuples(result.get()) != static_cast<int>(topics.size())) return Malformed("sync_topic_heads");
  states->clear();
  states->reserve(topics.size());
  for (size_t i = 0; i < topics.size(); ++i) {
    const int row = static_cast<int>(i);
    const auto head = UnsignedField(result.get(), row, 0);
    const auto floor = UnsignedField(result.get(), row, 1);
    const auto epoch = UnsignedField(result.get(), row, 2);
    const auto allocated = UnsignedField(result.get(), row, 3);
    if (!head || !floor || !epoch || !allocated) return Malformed("sync_topic_heads");
    states->push_back({topics[i], *head, *floor, *epoch, *allocated});
    if (extras_.policies) states->back().policy = PolicyOf(result.get(), row);
  }
  return {};
}

PgStatus JournalSession::Histories(const std::vector<std::string>& topics, TimePoint deadline,
                                   std::vector<std::vector<SharedHistory>>* histories) {
  histories->assign(topics.size(), {});
  if (!std::all_of(topics.begin(), topics.end(), IsTopic)) return {PgFault::kServer, "not a topic"};
  PgStatus status;
  if (!extras_.histories) status = LookAgainForExtras(deadline);
  if (!status.ok() || !extras_.histories) return status;
  PgResultRef result;
  status = Ask(
      {"histories", "SELECT topic, epoch, through FROM @.sync_topic_histories($1::text[])", {BinaryTextArray(topics)}},
      deadline, &result);
  if (!status.ok()) return status;
  // Rows come in the order of the topics, several for one topic or none.
  size_t at = 0;
  for (int row = 0; row < PQntuples(result.get()); ++row) {
    const std::string_view topic = Field(result.get(), row, 0);
    const auto epoch = UnsignedField(result.get(), row, 1);
    const auto through = UnsignedField(result.get(), row, 2);
    while (at < topics.size() && topics[at] != topic) ++at;
    if (at == topics.size() || !epoch || !through) return Malformed("sync_topic_histories");
    (*histories)[at].push_back({*epoch, *through});
  }
  return {};
}

PgStatus JournalSession::After(const std::string& topic, uint64_t after, uint32_t max_events, uint64_t max_bytes,
                               TimePoint deadline, std::vector<EventRef>* events) {
  if (!IsTopic(topic)) return {PgFault::kServer, "not a topic"};
  PgResult result;
  PgStatus status = connection_.ExecutePrepared(
      "after", {topic, BinaryInt8(ToInt8(after)), EventLimit(max_events), BinaryInt8(ToInt8(max_bytes))}, deadline,
      &result);
  events->clear();
  // The cursor is below the floor: there is nothing to be had, and whoever asks for the floor sees why.
  if (status.sqlstate == kStaleCursor) return {};
  if (!status.ok()) return status;
  const int rows = PQntuples(result.get());
  events->reserve(static_cast<size_t>(rows));
  for (int row = 0; row < rows; ++row) {
    std::string error;
    EventRef event = DecodeUpdate(Field(result.get(), row, 1), &error);
    if (event == nullptr) return {PgFault::kServer, error};
    if (event->topic != topic || event->watermark != after + 1 + static_cast<uint64_t>(row)) {
      return Malformed("sync_replay_updates");
    }
    events->push_back(std::move(event));
  }
  return {};
}

PgStatus JournalSession::Poll(const std::vector<TopicCursor>& cursors, uint32_t max_events, uint64_t max_bytes,
                              TimePoint deadline, std::vector<TopicRun>* runs, uint64_t* undecodable) {
  std::vector<std::string> topics;
  std::vector<int64_t> afters;
  topics.reserve(cursors.size());
  afters.reserve(cursors.size());
  for (const auto& cursor : cursors) {
    topics.push_back(cursor.topic);
    afters.push_back(ToInt8(cursor.after));
  }
  PgResult result;
  PgStatus status = connection_.ExecutePrepared(
      "poll", {BinaryTextArray(topics), BinaryInt8Array(afters), EventLimit(max_events), BinaryInt8(ToInt8(max_bytes))},
      deadline, &result);
  if (!status.ok()) return status;
  runs->clear();
  const int rows = PQntuples(result.get());
  uint64_t bytes = 0;
  bool broken = false;  // the rest of this topic's run is of no use
  for (int row = 0; row < rows; ++row) {
    const auto ordinal = UnsignedField(result.get(), row, 0);
    if (!ordinal || *ordinal == 0 || *ordinal > cursors.size()) return Malformed("sync_replay_updates");
    const size_t index = *ordinal - 1;
    if (runs->empty() || runs->back().index != index) {
      runs->push_back({index, {}, false});
      bytes = 0;
      broken = false;
    }
    if (broken) continue;
    const std::string_view update = Field(result.get(), row, 2);
    std::string error;
    EventRef event = DecodeUpdate(update, &error);
    if (event == nullptr || event->topic != cursors[index].topic) {
      ++*undecodable;
      broken = true;
      continue;
    }
    TopicRun& run = runs->back();
    bytes += update.size();
    run.events.push_back(std::move(event));
    // A run that ends at a gap has no more for now; one that ends at a limit may have.
    run.more = run.events.size() >= max_events || bytes >= max_bytes / 2;
  }
  return {};
}

PgStatus JournalSession::Horizon(bool assign, TimePoint deadline, XactHorizon* horizon) {
  PgResult result;
  PgStatus status = connection_.ExecutePrepared("horizon", {BinaryBool(assign)}, deadline, &result);
  if (!status.ok()) return status;
  if (PQntuples(result.get()) != 1) return Malformed("pg_current_snapshot");
  const auto oldest = UnsignedField(result.get(), 0, 0);
  const auto assigned = UnsignedField(result.get(), 0, 1);
  if (!oldest || !assigned) return Malformed("pg_current_snapshot");
  *horizon = {*oldest, *assigned};
  return {};
}

PgStatus JournalSession::Terminate(int backend_pid, TimePoint deadline) {
  return connection_.Execute("SELECT pg_terminate_backend(" + std::to_string(backend_pid) + ")", deadline, nullptr);
}

}  // namespace oasync::pg
