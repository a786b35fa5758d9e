#include "doctor_database.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>

#include "base/clock.h"
#include "sql_database.h"

namespace oasync::terminal {
namespace {

constexpr char kInstallation[] = "docs/operations/installation.md";
constexpr int64_t kGigabyte = int64_t{1} << 30;
constexpr int64_t kMuchVoid = 1000;
constexpr int64_t kOldHeadsS = 300;

std::string Megabytes(int64_t bytes) {
  std::array<char, 32> text;
  snprintf(text.data(), text.size(), "%.1f MB", static_cast<double>(bytes) / 1048576);
  return text.data();
}

// What every check has: the connection, where the extension is, and where its findings go.
struct Context {
  Database& db;
  Findings& findings;
  DatabaseFacts& facts;
  std::string schema{};  // quoted
  std::string role{};    // whose rights are looked at
  bool in_recovery = false;

  DatabaseResult Ask(const std::string& sql, const std::vector<std::string>& parameters = {}) {
    return db.Query(sql, parameters);
  }
  // A question that could not be asked is no problem, unless it is.
  void CannotAsk(const std::string& check, const DatabaseResult& result) {
    if (result.denied()) {
      return findings.Skipped(check, "the role that connects may not look: " + result.error,
                              "connect as a superuser, or as the role for monitoring of " + std::string(kInstallation));
    }
    findings.Problem(check, result.error, "see the database's log");
  }
};

// Whether a list of names, as settings have it, has the name.
bool Lists(const std::string& list, const std::string& name) {
  std::string word;
  for (const char c : list + ",") {
    if (c == ',') {
      if (word == name) return true;
      word.clear();
    } else if (c != ' ' && c != '"' && c != '\'') {
      word += c;
    }
  }
  return false;
}

void CheckVersion(Context& c) {
  const auto result = c.Ask("SELECT current_setting('server_version_num')::int, current_setting('server_version')");
  if (!result.ok()) return c.CannotAsk("database.version", result);
  if (result.Integer(0) >= 150000) return c.findings.Ok("database.version", "PostgreSQL " + result.Text(1));
  c.findings.Problem("database.version", "PostgreSQL " + result.Text(1), "OA Sync needs PostgreSQL 15 or later");
}

void CheckPreload(Context& c) {
  const char* check = "database.preload";
  const char* todo = "add oa_sync to shared_preload_libraries in postgresql.conf and restart PostgreSQL";
  auto result = c.Ask("SELECT current_setting('shared_preload_libraries')");
  if (result.ok()) {
    if (Lists(result.Text(0), "oa_sync")) return c.findings.Ok(check, "shared_preload_libraries has oa_sync");
    return c.findings.Problem(check, "shared_preload_libraries is '" + result.Text(0) + "', without oa_sync", todo);
  }
  // Few may read it; whether the library's settings exist everybody may.
  result = c.Ask("SELECT current_setting('oa_sync.max_hot_topics', true) IS NOT NULL");
  if (!result.ok()) return c.CannotAsk(check, result);
  if (result.IsTrue(0)) return c.findings.Ok(check, "the settings of oa_sync are there");
  c.findings.Problem(check, "the library oa_sync is not loaded", todo);
}

void CheckWalLevel(Context& c) {
  const auto result = c.Ask("SELECT current_setting('wal_level')");
  if (!result.ok()) return c.CannotAsk("database.wal_level", result);
  if (result.Text(0) == "logical") return c.findings.Ok("database.wal_level", "wal_level is logical");
  c.findings.Problem("database.wal_level", "wal_level is " + result.Text(0),
                     "set wal_level = logical and restart PostgreSQL; until then fan-outs poll the journal");
}

void CheckOutputPlugins(Context& c) {
  const char* check = "database.output_plugin_libraries";
  const auto result = c.Ask("SELECT current_setting('output_plugin_libraries', true)");
  if (!result.ok()) return c.CannotAsk(check, result);
  if (result.rows.empty() || !result.rows[0][0]) {
    return c.findings.Ok(check, "this PostgreSQL does not know the setting, and needs none");
  }
  if (Lists(result.Text(0), "oa_sync")) return c.findings.Ok(check, "has oa_sync");
  c.findings.Problem(
      check, "is '" + result.Text(0) + "', without oa_sync",
      "add oa_sync to what it shows (keep the others) and restart; until then fan-outs poll the journal");
}

void CheckCapacity(Context& c) {
  const auto result = c.Ask(
      "SELECT current_setting('max_wal_senders')::int, (SELECT count(*) FROM pg_stat_replication), "
      "current_setting('max_replication_slots')::int, (SELECT count(*) FROM pg_replication_slots), "
      "(SELECT count(*) FROM pg_replication_slots WHERE plugin = 'oa_sync')");
  if (!result.ok()) return c.CannotAsk("database.max_wal_senders", result);
  const bool follows = result.Integer(4) > 0;
  const auto judge = [&](const char* check, const char* setting, int64_t limit, int64_t used) {
    const std::string what = std::to_string(used) + " of " + setting + " = " + std::to_string(limit) + " in use";
    const std::string todo = std::string("raise ") + setting + " and restart: each fan-out takes one";
    if (used < limit) return c.findings.Ok(check, what);
    if (follows) return c.findings.Warning(check, what + ": no other fan-out can follow by a slot", todo);
    c.findings.Problem(check, what + ": a fan-out cannot follow by a slot", todo);
  };
  judge("database.max_wal_senders", "max_wal_senders", result.Integer(0), result.Integer(1));
  judge("database.max_replication_slots", "max_replication_slots", result.Integer(2), result.Integer(3));
}

void CheckDurability(Context& c) {
  const auto result = c.Ask("SELECT current_setting('fsync'), current_setting('full_page_writes')");
  if (!result.ok()) return c.CannotAsk("database.fsync", result);
  if (result.Text(0) == "on" && result.Text(1) == "on") {
    return c.findings.Ok("database.fsync", "fsync and full_page_writes are on");
  }
  c.findings.Problem("database.fsync", "fsync is " + result.Text(0) + ", full_page_writes is " + result.Text(1),
                     "turn both on: else a crash can take back what subscribers have seen");
}

// False when there is no extension, and so nothing more to look at.
bool CheckExtension(Context& c) {
  const char* check = "database.extension";
  const auto result = c.Ask(
      "SELECT e.extversion, quote_ident(n.nspname), a.default_version FROM pg_available_extensions a "
      "LEFT JOIN pg_extension e ON e.extname = a.name LEFT JOIN pg_namespace n ON n.oid = e.extnamespace "
      "WHERE a.name = 'oa_sync'");
  if (!result.ok()) {
    c.CannotAsk(check, result);
    return false;
  }
  if (result.rows.empty()) {
    c.findings.Problem(check, "the extension is not installed on the database's machine",
                       std::string("make install there (") + kInstallation + "), then CREATE EXTENSION oa_sync");
    return false;
  }
  if (result.Text(0).empty()) {
    c.findings.Problem(check, "this database does not have the extension", "CREATE EXTENSION oa_sync; as a superuser");
    return false;
  }
  c.facts.extension_version = result.Text(0);
  c.schema = result.Text(1);
  const std::string what = "oa_sync " + result.Text(0) + " in schema " + c.schema;
  if (result.Text(0) == result.Text(2)) {
    c.findings.Ok(check, what);
  } else {
    c.findings.Warning(check, what + ", but its library and scripts are of " + result.Text(2),
                       "ALTER EXTENSION oa_sync UPDATE; then SELECT " + c.schema +
                           ".sync_grant_reader(role) (docs/operations/upgrade.md)");
  }
  return true;
}

void CheckWorker(Context& c) {
  const char* check = "database.worker";
  if (c.in_recovery) return c.findings.Ok(check, "a standby has no worker; that of the primary does the work");
  const auto result = c.Ask(
      "SELECT worker_pid, recovered, voids_pending, "
      "extract(epoch FROM clock_timestamp() - heads_persisted_at)::bigint FROM " +
      c.schema + ".sync_stats");
  if (!result.ok()) return c.CannotAsk(check, result);
  if (result.Text(0).empty()) {
    return c.findings.Problem(check, "no worker runs: no partitions, no retention, holes of failed commits stay open",
                              "see that max_worker_processes has room for the launcher and one for each database, and "
                              "the database's log");
  }
  c.findings.Ok(check, "runs, process " + result.Text(0));
  if (!result.IsTrue(1)) {
    c.findings.Warning("database.recovered", "holes that a crash left are not filled yet",
                       "wait a little; if it stays so, see the database's log");
  }
  const int64_t voids = result.Integer(2);
  const std::string what = std::to_string(voids) + " watermarks of failed transactions wait to be filled";
  if (voids < kMuchVoid) {
    c.findings.Ok("database.voids", what);
  } else {
    c.findings.Warning("database.voids", what, "see why so many commits fail, and whether the worker gets on");
  }
  if (result.Integer(3) > kOldHeadsS) {
    c.findings.Warning("database.heads", "heads were last persisted " + result.Text(3) + " s ago",
                       "see in the database's log what the worker waits for");
  }
}

void CheckRole(Context& c) {
  const char* check = "database.role";
  const auto role = c.Ask("SELECT rolsuper, rolreplication, rolcanlogin FROM pg_roles WHERE rolname = $1", {c.role});
  if (!role.ok()) return c.CannotAsk(check, role);
  if (role.rows.empty()) {
    return c.findings.Problem(check, "there is no role " + c.role,
                              "CREATE ROLE " + c.db.Identifier(c.role) + " LOGIN REPLICATION");
  }
  if (role.IsTrue(0)) {
    return c.findings.Ok(check, c.role + " is a superuser and may everything; --role looks at the fan-out's own role");
  }
  const std::string name = c.db.Identifier(c.role);
  const std::string grant = "SELECT " + c.schema + ".sync_grant_reader('" + c.role + "')";
  if (!role.IsTrue(1)) {
    c.findings.Problem(check, c.role + " lacks REPLICATION: the fan-out polls the journal",
                       "ALTER ROLE " + name + " REPLICATION");
  } else {
    c.findings.Ok(check, c.role + " has REPLICATION");
  }
  // The names instead of sync_reader_functions(), which that role may not call itself.
  const auto denied = c.Ask(
      "SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
      "WHERE quote_ident(n.nspname) = $1 AND p.proname = ANY ('{sync_topic_heads,sync_topic_histories,"
      "sync_replay_updates,sync_current_epoch,sync_check_cursors,sync_policy_of,sync_snapshot_json,sync_document_json,"
      "sync_active_revocations,sync_canary}'::text[]) AND NOT (has_function_privilege($2, p.oid, 'EXECUTE') AND "
      "has_schema_privilege($2, n.oid, 'USAGE')) ORDER BY 1",
      {c.schema, c.role});
  if (!denied.ok()) return c.CannotAsk("database.rights", denied);
  if (denied.rows.empty()) return c.findings.Ok("database.rights", c.role + " may call what a fan-out calls");
  c.findings.Problem("database.rights",
                     c.role + " may not call " + denied.Text(0) +
                         (denied.rows.size() > 1 ? " and " + std::to_string(denied.rows.size() - 1) + " more" : ""),
                     grant);
}

void CheckPublications(Context& c) {
  const char* check = "database.publications";
  const auto result = c.Ask("SELECT relation::text, problem FROM " + c.schema + ".sync_publications_status ORDER BY 1");
  if (!result.ok()) return c.CannotAsk(check, result);
  size_t broken = 0;
  for (const DatabaseRow& row : result.rows) {
    if (!row[1]) continue;
    ++broken;
    c.findings.Problem(check, row[0].value_or("?") + ": " + *row[1],
                       "publish it again with " + c.schema + ".sync_publish, or end it with sync_unpublish");
  }
  if (result.rows.empty()) {
    c.findings.Warning(check, "no table is published", "SELECT " + c.schema + ".sync_publish('schema.table')");
  } else if (broken == 0) {
    c.findings.Ok(check, std::to_string(result.rows.size()) + " tables are published, all of them captured");
  }
}

void CheckSlots(Context& c) {
  const char* check = "database.slots";
  const std::string here = c.in_recovery ? "pg_last_wal_receive_lsn()" : "pg_current_wal_lsn()";
  const auto result = c.Ask("SELECT slot_name, active, coalesce(wal_status, ''), pg_wal_lsn_diff(" + here +
                            ", restart_lsn)::bigint, pg_wal_lsn_diff(" + here +
                            ", confirmed_flush_lsn)::bigint FROM pg_replication_slots WHERE plugin = 'oa_sync'");
  if (!result.ok()) return c.CannotAsk(check, result);
  if (result.rows.empty()) {
    return c.findings.Warning(check, "no fan-out follows by a slot at the moment",
                              "when one should: its log says why it does not");
  }
  for (size_t i = 0; i < result.rows.size(); ++i) {
    const DatabaseResult row{{result.rows[i]}, {}, {}};
    const std::string what = "slot " + row.Text(0) + " holds back " + Megabytes(row.Integer(3)) + " of WAL and is " +
                             Megabytes(row.Integer(4)) + " behind";
    if (row.Text(2) == "lost") {
      c.findings.Problem(check, "slot " + row.Text(0) + " is lost",
                         "its fan-out makes a new one by itself; raise "
                         "max_slot_wal_keep_size if that happens again");
    } else if (!row.IsTrue(1)) {
      c.findings.Problem(check, what + ", and nobody uses it",
                         "SELECT pg_drop_replication_slot('" + row.Text(0) + "') unless somebody means to");
    } else if (row.Integer(3) > kGigabyte || row.Integer(4) > kGigabyte) {
      c.findings.Warning(check, what, "see what the fan-out waits for, or which transaction is open for so long");
    } else {
      c.findings.Ok(check, what);
    }
  }
}

void CheckSlotLimit(Context& c) {
  const char* check = "database.max_slot_wal_keep_size";
  const auto result = c.Ask("SELECT setting::bigint FROM pg_settings WHERE name = 'max_slot_wal_keep_size'");
  if (!result.ok()) return c.CannotAsk(check, result);
  if (result.Integer(0) >= 0) return c.findings.Ok(check, std::to_string(result.Integer(0)) + " MB");
  c.findings.Warning(check, "unlimited: a fan-out that hangs can fill the disk with WAL",
                     "set it, to 20GB for example; a slot that is lost costs no event");
}

void CheckPartitions(Context& c) {
  const char* check = "database.partitions";
  const auto result = c.Ask(
      "SELECT count(*) FILTER (WHERE upper > now()), count(*), coalesce(bool_or(lower <= now() AND upper > now()), "
      "false), min(lower) FILTER (WHERE lower > now()) FROM " +
      c.schema + ".sync_journal_partitions");
  if (!result.ok()) return c.CannotAsk(check, result);
  const std::string what = result.Text(1) + " partitions of the journal, " + result.Text(0) + " for now and later";
  if (result.IsTrue(2)) {
    c.findings.Ok(check, what);
  } else if (result.Integer(0) > 0) {
    c.findings.Warning(check,
                       what + ", the first from " + result.Text(3) + " on: until then events go to the default one",
                       "nothing, when the extension is new here or was restored: the default partition came first");
  } else {
    c.findings.Problem(check, what + ": events go to the default one",
                       "SELECT " + c.schema + ".sync_maintain_partitions(), and see why the worker does not");
  }
  const auto strays = c.Ask("SELECT count(*) FROM (SELECT FROM ONLY " + c.schema +
                            ".sync_stream_events_default LIMIT 100001) AS strays");
  if (!strays.ok()) return c.CannotAsk("database.default_partition", strays);
  if (strays.Integer(0) == 0) return c.findings.Ok("database.default_partition", "empty");
  c.findings.Warning("database.default_partition",
                     (strays.Integer(0) > 100000 ? "more than 100000" : strays.Text(0)) +
                         " events: they are served, but go row by row when their time comes",
                     "normal after a restore; else see why the worker made no partition in time");
}

void CheckClock(Context& c) {
  const int64_t before = SystemClock().WallMs();
  const auto result = c.Ask("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint");
  const int64_t after = SystemClock().WallMs();
  if (!result.ok()) return c.CannotAsk("database.clock", result);
  JudgeClock("database.clock", "the database's clock", result.Integer(0) - (before + after) / 2,
             (after - before + 1) / 2, &c.findings);
}

// In the order in which they are read: what is needed first comes first.
constexpr std::array<void (*)(Context&), 7> kServerChecks = {
    CheckVersion, CheckPreload, CheckWalLevel, CheckOutputPlugins, CheckCapacity, CheckDurability, CheckClock};
constexpr std::array<void (*)(Context&), 6> kExtensionChecks = {CheckWorker, CheckRole,      CheckPublications,
                                                                CheckSlots,  CheckSlotLimit, CheckPartitions};

}  // namespace

void JudgeClock(const std::string& check, const std::string& whose, int64_t difference_ms, int64_t uncertainty_ms,
                Findings* findings) {
  const int64_t least = std::max<int64_t>(0, std::abs(difference_ms) - uncertainty_ms);
  const std::string what = whose + " is " + std::to_string(std::abs(difference_ms)) + " ms " +
                           (difference_ms < 0 ? "behind" : "ahead of") + " this machine's (+- " +
                           std::to_string(uncertainty_ms) + " ms)";
  const char* todo = "have all machines follow NTP: tokens are refused from 30 s on, and latencies are wrong";
  if (least >= 10000) return findings->Problem(check, what, todo);
  if (least >= 1000) return findings->Warning(check, what, todo);
  findings->Ok(check, what);
}

DatabaseFacts CheckDatabase(const std::string& conninfo, const std::string& role, Findings* findings) {
  DatabaseFacts facts;
  Database db;
  if (const std::string error = db.Connect(conninfo); !error.empty()) {
    findings->Problem("database.connect", error,
                      "see that PostgreSQL runs, that pg_hba.conf has a line for the role and database, and that the "
                      "passfile or PGPASSWORD has its password");
    return facts;
  }
  facts.connected = true;
  Context context{db, *findings, facts};
  const auto who = db.Query("SELECT current_user, current_database(), pg_is_in_recovery()");
  if (!who.ok()) {
    context.CannotAsk("database.connect", who);
    return facts;
  }
  context.role = role.empty() ? who.Text(0) : role;
  context.in_recovery = who.IsTrue(2);
  findings->Ok("database.connect",
               "connected to " + who.Text(1) + " as " + who.Text(0) + (context.in_recovery ? ", a standby" : ""));
  for (const auto check : kServerChecks) check(context);
  if (!CheckExtension(context)) return facts;
  for (const auto check : kExtensionChecks) check(context);
  return facts;
}

}  // namespace oasync::terminal
