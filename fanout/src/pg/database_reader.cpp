#include "database_reader.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include "pg_binary.h"

namespace oasync::pg {

namespace {

constexpr char kSnapshotSql[] = "SELECT @.sync_snapshot_json($1::text, $2::int, nullif($3::text, ''), $4::bigint)";
constexpr char kDocumentSql[] = "SELECT @.sync_document_json($1::text, $2::text)";
constexpr char kRevocationsSql[] =
    "SELECT kind, value, reason,"
    " CASE WHEN isfinite(expires_at) THEN ceil(extract(epoch FROM expires_at))::bigint ELSE 0 END"
    " FROM @.sync_active_revocations()";
// Durable when it is answered, also where the database's default is not to wait.
constexpr char kRevokeSql[] =
    "SELECT @.sync_revoke(r.kind, r.value, r.reason, r.expires_at),"
    " CASE WHEN current_setting('synchronous_commit') = 'off' THEN set_config('synchronous_commit', 'on', true) END"
    " FROM (SELECT kind, array_agg(value) AS value, reason,"
    " CASE expires WHEN 0 THEN 'infinity' ELSE to_timestamp(expires) END AS expires_at"
    " FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) AS u(kind, value, reason, expires)"
    " GROUP BY kind, reason, expires) r";
constexpr char kOverviewSql[] = "SELECT @.sync_overview()::text";
// Before 0.4.0, or without the right to call it.
constexpr char kVersionsSql[] =
    "SELECT json_build_object('server_version', current_setting('server_version'),"
    " 'extension_version', (SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'oa_sync'),"
    " 'in_recovery', pg_is_in_recovery(),"
    " 'clock', floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint)::text";
// 0 is no limit in a policy; here it is null.
constexpr char kTopicsSql[] =
    "SELECT json_build_object('topics', coalesce(json_agg(json_build_object('topic', t.topic,"
    " 'head_watermark', t.head, 'retention_floor', t.floor, 'retained', t.retained, 'in_flight', t.in_flight,"
    " 'epoch', t.epoch::text, 'oldest_at', floor(extract(epoch FROM t.oldest_at) * 1000)::bigint,"
    " 'policy', json_build_object('pattern', p.sources->>'horizon',"
    " 'horizon_s', nullif(floor(extract(epoch FROM p.horizon))::bigint, 0), 'qos_tier', p.qos_tier,"
    " 'replay_budget_events', nullif(p.replay_budget, 0), 'max_payload_bytes', nullif(p.max_payload, 0),"
    " 'payload_mode', p.payload_mode, 'max_inline_bytes', nullif(p.max_inline, 0),"
    " 'events_per_second', nullif(p.publish_rate, 0), 'snapshot_source', p.snapshot_source, 'sources', p.sources))"
    " ORDER BY t.topic COLLATE \"C\"), '[]'))::text"
    " FROM @.sync_topics_page($1::text, $2::text, $3::int) t, LATERAL @.sync_policy_of(t.topic) p";
constexpr char kEventsSql[] =
    "SELECT @.sync_events_json($1::text, NULL, nullif($2::bigint, 0), $3::int, $4::bigint, $5::int)";
constexpr char kHistorySql[] =
    "SELECT @.sync_events_json($1::text, $6::text, nullif($2::bigint, 0), $3::int, $4::bigint, $5::int)";
constexpr char kParitySql[] = "SELECT @.sync_parity_overview()::text";
constexpr char kCanarySql[] = "SELECT @.sync_canary()";

// What the database did not have, it may have after that: an update, or a grant.
constexpr std::chrono::seconds kNoOverview{30};

constexpr char kDataCorrupted[] = "XX001";
constexpr char kUndefinedFunction[] = "42883";
constexpr char kNoPrivilege[] = "42501";

const char* KindName(Revocation::Kind kind) {
  switch (kind) {
    case Revocation::Kind::kSession:
      return "session";
    case Revocation::Kind::kDevice:
      return "device";
    case Revocation::Kind::kToken:
      break;
  }
  return "jti";
}

std::optional<Revocation::Kind> KindOf(std::string_view name) {
  for (const auto kind : {Revocation::Kind::kSession, Revocation::Kind::kDevice, Revocation::Kind::kToken}) {
    if (name == KindName(kind)) return kind;
  }
  return std::nullopt;
}

std::string Int8Of(uint64_t value) {
  return BinaryInt8(static_cast<int64_t>(std::min<uint64_t>(value, std::numeric_limits<int64_t>::max())));
}

std::string Int4Of(uint32_t value) {
  return BinaryInt4(static_cast<int32_t>(std::min<uint32_t>(value, std::numeric_limits<int32_t>::max())));
}

// One field of bytes.
AskCallback AnswerBody(DocumentCallback done) {
  return [done = std::move(done)](ReadResult<PgResultRef> result) {
    DocumentAnswer answer;
    answer.sqlstate = std::move(result.sqlstate);
    answer.error = std::move(result.error);
    if (answer.ok() && PQntuples(result.value.get()) == 1) {
      answer.body = std::string(Field(result.value.get(), 0, 0));
    } else if (answer.ok()) {
      answer.error = "unexpected answer";
      answer.sqlstate = kDataCorrupted;
    }
    done(std::move(answer));
  };
}

AskCallback AnswerDone(DoneCallback done) {
  return [done = std::move(done)](const ReadResult<PgResultRef>& result) { done({result.sqlstate, result.error}); };
}

RevocationAnswer ReadRows(const PGresult* rows) {
  RevocationAnswer answer;
  for (int row = 0; row < PQntuples(rows); ++row) {
    const auto kind = KindOf(Field(rows, row, 0));
    const auto expires = ParseBinaryInt(Field(rows, row, 3));
    // A kind of a later version: that this server cannot act on it must be known, not passed over.
    if (!kind || !expires) return {{kDataCorrupted, "a revocation of an unknown kind"}, {}};
    answer.revocations.push_back({*kind, std::string(Field(rows, row, 1)), std::string(Field(rows, row, 2)), *expires});
  }
  return answer;
}

JournalReaderOptions PoolOptions(JournalReaderOptions options, const char* name, int threads) {
  options.name = name;
  options.threads = threads;
  options.connect_early = false;
  options.answered = &PgSourceStats::database_answers;
  options.failed = &PgSourceStats::database_errors;
  return options;
}

}  // namespace

DatabaseReader::DatabaseReader(const JournalReaderOptions& options, int document_threads, EpochBoard* board,
                               PgSourceStats* stats)
    : documents_(PoolOptions(options, "documents", std::max(document_threads, 1)), board, stats),
      commands_(PoolOptions(options, "commands", 1), board, stats),
      overview_(PoolOptions(options, "overview", 1), board, stats),
      operators_(PoolOptions(options, "operators", 1), board, stats) {}

void DatabaseReader::Start() {
  documents_.Start();
  commands_.Start();
  overview_.Start();
  operators_.Start();
}

void DatabaseReader::Stop() {
  documents_.Stop();
  commands_.Stop();
  overview_.Stop();
  operators_.Stop();
}

void DatabaseReader::Expire(TimePoint now) {
  documents_.Expire(now);
  commands_.Expire(now);
  overview_.Expire(now);
  operators_.Expire(now);
}

void DatabaseReader::ReadSnapshot(SnapshotQuestion question, DocumentCallback done) {
  // Topics have no '|', and the token comes last.
  std::string key = "snapshot|" + question.topic + '|' + std::to_string(question.max_documents) + '|' +
                    std::to_string(question.max_bytes) + '|' + question.page_token;
  if (!IsTopic(question.topic)) key.clear();  // the server will say so
  documents_.Ask(std::move(key),
                 {"snapshot",
                  kSnapshotSql,
                  {std::move(question.topic), Int4Of(question.max_documents), std::move(question.page_token),
                   Int8Of(question.max_bytes)}},
                 AnswerBody(std::move(done)));
}

void DatabaseReader::ReadDocument(const std::string& topic, std::string doc_key, DocumentCallback done) {
  std::string key = "document|" + topic + '|' + doc_key;
  if (!IsTopic(topic)) key.clear();
  documents_.Ask(std::move(key), {"document", kDocumentSql, {topic, std::move(doc_key)}}, AnswerBody(std::move(done)));
}

void DatabaseReader::ReadRevocations(RevocationsCallback done) {
  commands_.Ask(
      {}, {"revocations", kRevocationsSql, {}}, [done = std::move(done)](const ReadResult<PgResultRef>& result) {
        done(result.ok() ? ReadRows(result.value.get()) : RevocationAnswer{{result.sqlstate, result.error}, {}});
      });
}

void DatabaseReader::Revoke(const std::vector<Revocation>& revocations, DoneCallback done) {
  std::vector<std::string> kinds;
  std::vector<std::string> values;
  std::vector<std::string> reasons;
  std::vector<int64_t> expirations;
  for (const Revocation& revocation : revocations) {
    kinds.emplace_back(KindName(revocation.kind));
    values.push_back(revocation.value);
    reasons.push_back(revocation.reason);
    expirations.push_back(std::max<int64_t>(revocation.expires_at_s, 0));
  }
  commands_.Ask(
      {},
      {"revoke",
       kRevokeSql,
       {BinaryTextArray(kinds), BinaryTextArray(values), BinaryTextArray(reasons), BinaryInt8Array(expirations)}},
      AnswerDone(std::move(done)));
}

void DatabaseReader::EmitCanary(DoneCallback done) {
  commands_.Ask({}, {"canary", kCanarySql, {}}, AnswerDone(std::move(done)));
}

void DatabaseReader::ReadTopics(const TopicsQuestion& question, DocumentCallback done) {
  operators_.Ask({}, {"topics", kTopicsSql, {question.prefix, question.after, Int4Of(question.max_topics)}},
                 AnswerBody(std::move(done)));
}

void DatabaseReader::ReadEvents(const EventsQuestion& question, DocumentCallback done) {
  Question asked{"events",
                 kEventsSql,
                 {question.topic, Int8Of(question.before), Int4Of(question.max_events), Int8Of(question.max_bytes),
                  Int4Of(question.max_searched)}};
  if (question.doc_key) {
    asked.name = "history";
    asked.sql = kHistorySql;
    asked.parameters.push_back(*question.doc_key);
  }
  operators_.Ask({}, std::move(asked), AnswerBody(std::move(done)));
}

void DatabaseReader::ReadParity(DocumentCallback done) {
  operators_.Ask("parity", {"parity", kParitySql, {}}, AnswerBody(std::move(done)));
}

void DatabaseReader::ReadOverview(DocumentCallback done) {
  const auto ask_versions = [this](DocumentCallback callback) {
    overview_.Ask("versions", {"versions", kVersionsSql, {}}, AnswerBody(std::move(callback)));
  };
  if (Clock::now().time_since_epoch().count() < no_overview_until_.load(std::memory_order_relaxed)) {
    return ask_versions(std::move(done));
  }
  overview_.Ask("overview", {"overview", kOverviewSql, {}},
                AnswerBody([this, ask_versions, done = std::move(done)](DocumentAnswer answer) {
                  if (answer.sqlstate != kUndefinedFunction && answer.sqlstate != kNoPrivilege) {
                    return done(std::move(answer));
                  }
                  // Every failed question is a line in the server's log.
                  no_overview_until_.store((Clock::now() + kNoOverview).time_since_epoch().count(),
                                           std::memory_order_relaxed);
                  ask_versions(done);
                }));
}

}  // namespace oasync::pg
