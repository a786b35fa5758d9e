#include "admin/problems.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

namespace oasync {
namespace {

using Json = nlohmann::json;
using Problems = std::vector<Problem>;

constexpr int64_t kJournalForLongMs = 30000;
constexpr int64_t kSlotBehindMs = 10000;
constexpr int64_t kVoidsForLongMs = 10000;
constexpr int64_t kClockMs = 2000;
constexpr int64_t kLongTransactionS = 30;
constexpr int64_t kDayS = 86400;
constexpr int64_t kCertificateSoonDays = 14;
constexpr int64_t kCertificateNowDays = 2;
constexpr double kNearLimit = 0.9;
constexpr double kNearWalLimit = 0.8;
constexpr double kBusyLoop = 0.9;

constexpr char kInFiveMinutes[] = "in the last five minutes";

int64_t Count(const HealthFacts& facts, Recent what) { return facts.recent[static_cast<size_t>(what)]; }

// A member of the database's overview; null when it is not there.
const Json& At(const Json& object, const char* name) {
  static const Json kNone;
  if (!object.is_object()) return kNone;
  const auto found = object.find(name);
  return found == object.end() ? kNone : *found;
}

bool IsTrue(const Json& value) { return value.is_boolean() && value.get<bool>(); }
int64_t NumberOf(const Json& value) { return value.is_number_integer() ? value.get<int64_t>() : 0; }

// Why there is no slot, as far as the database tells.
std::string WhyNoSlot(const Json& database) {
  if (IsTrue(At(database, "in_recovery"))) {
    return "The server is a standby: connect to the primary, or leave it so (--tail journal says that it is meant).";
  }
  if (const Json& level = At(database, "wal_level"); level.is_string() && level != "logical") {
    return fmt::format("wal_level is {}: set wal_level = logical and restart PostgreSQL.",
                       level.get_ref<const std::string&>());
  }
  if (const Json& listed = At(database, "plugin_listed"); listed.is_boolean() && !listed.get<bool>()) {
    return "output_plugin_libraries does not list oa_sync: add it to what is there, and reload PostgreSQL.";
  }
  if (const Json& may = At(database, "role_may_replicate"); may.is_boolean() && !may.get<bool>()) {
    return "The fan-out's role lacks REPLICATION: ALTER ROLE ... REPLICATION.";
  }
  const int64_t slots = NumberOf(At(database, "slots"));
  const int64_t max_slots = NumberOf(At(database, "max_slots"));
  if (max_slots > 0 && slots >= max_slots) {
    return fmt::format(
        "All {} replication slots are taken: drop those that nobody uses, or raise "
        "max_replication_slots and restart PostgreSQL.",
        max_slots);
  }
  if (const int64_t age = NumberOf(At(database, "oldest_writer_s")); age >= kLongTransactionS) {
    return fmt::format(
        "A slot is made when the transactions that were open have ended, and one has been writing for "
        "{} s: end it, if it is not meant to run for so long.",
        age);
  }
  if (NumberOf(At(database, "prepared_transactions")) > 0) {
    return "A slot is made when prepared transactions have ended: look at pg_prepared_xacts.";
  }
  return "The log says why a slot was lost or could not be made; pg_hba.conf needs a line for replication connections.";
}

void LookAtTail(const HealthFacts& facts, Problems* problems) {
  if (facts.tail_mode == TailMode::kDown) {
    problems->push_back(
        {"tail_down", true, fmt::format("No live events come in: the journal does not answer ({}).", facts.tail_reason),
         "See that PostgreSQL runs, that the fan-out's role can connect, and that sync_grant_reader was "
         "called for it. Clients keep their connections and get what they missed."});
    return;
  }
  if (!facts.unready_reason.empty()) {
    problems->push_back(
        {"canary_late", true,
         facts.canary_age_ms < 0
             ? fmt::format("No sign of life has come the whole way from the database ({}).", facts.unready_reason)
             : fmt::format("The last event that was sent to see whether events come through came {} s ago ({}).",
                           facts.canary_age_ms / 1000, facts.unready_reason),
         "Look for commits that hang (a synchronous standby that is away, a full disk) and at the age of the slot's "
         "WAL; /readyz is 503 meanwhile."});
  }
  const Json& database = facts.glance ? facts.glance->overview : Json();
  if (facts.tail_mode == TailMode::kJournal && facts.tail_wants_slot && facts.tail_in_mode_ms >= kJournalForLongMs) {
    problems->push_back({"tail_on_journal", false,
                         fmt::format("For {} s live events have been polled from the journal, for want of a "
                                     "replication slot: they come, but later.",
                                     facts.tail_in_mode_ms / 1000),
                         WhyNoSlot(database)});
  }
  if (facts.max_slot_wal_bytes > 0 &&
      static_cast<double>(facts.slot_wal_bytes) >= kNearWalLimit * static_cast<double>(facts.max_slot_wal_bytes)) {
    problems->push_back(
        {"slot_wal", false,
         fmt::format("The server keeps {} MB of WAL for this fan-out's slot; at {} MB the slot is given up for a new "
                     "one.",
                     facts.slot_wal_bytes >> 20, facts.max_slot_wal_bytes >> 20),
         "Look for a transaction that has been open for long, or a fan-out that does not keep up. "
         "--max-slot-wal-bytes is the limit."});
  }
  if (facts.slot_lag_ms >= kSlotBehindMs) {
    problems->push_back({"slot_behind", false,
                         fmt::format("The slot is {} s behind the writers.", facts.slot_lag_ms / 1000),
                         "A large transaction passes by itself. If it stays, look at the CPU of the walsender and of "
                         "the fan-out."});
  }
  if (const int64_t count = Count(facts, Recent::kSlotInvalidations); count > 0) {
    problems->push_back({"slot_invalidated", false,
                         fmt::format("PostgreSQL has ended our slot {} times {}.", count, kInFiveMinutes),
                         "max_slot_wal_keep_size is smaller than what is written while the fan-out reads: raise it."});
  }
  if (const int64_t count = Count(facts, Recent::kDecodeErrors); count > 0) {
    problems->push_back({"decode_errors", true,
                         fmt::format("{} events could not be understood {}.", count, kInFiveMinutes),
                         "The extension's library and this fan-out do not fit together: update the older one."});
  }
}

void LookAtStatistics(const HealthFacts& facts, const Json& stats, Problems* problems) {
  if (At(stats, "worker_pid").is_null() && !IsTrue(At(facts.glance->overview, "in_recovery"))) {
    problems->push_back({"worker_not_running", true,
                         "The extension's worker does not run in this database: holes of failed commits are not "
                         "filled, and nothing is retained or dropped.",
                         "See that shared_preload_libraries has oa_sync, that max_worker_processes and "
                         "oa_sync.max_databases have room, and what the server's log says."});
  }
  if (facts.glance->voids_pending_ms >= kVoidsForLongMs) {
    problems->push_back({"voids_pending", true,
                         fmt::format("{} watermarks of failed commits have not been filled for {} s: their topics "
                                     "wait.",
                                     NumberOf(At(stats, "voids_pending")), facts.glance->voids_pending_ms / 1000),
                         "The worker fills them: see whether it runs, waits for a lock, or cannot write."});
  }
  if (const int64_t count = Count(facts, Recent::kHeadsEvicted); count > 0) {
    problems->push_back({"heads_evicted", false,
                         fmt::format("{} topics had to leave shared memory {}: the next write of each reads its head "
                                     "from the journal first.",
                                     count, kInFiveMinutes),
                         "More topics are written to than oa_sync.max_hot_topics: raise it and restart PostgreSQL."});
  }
}

// "0.4.0" of "0.4.0"; what cannot be read counts as nothing.
std::pair<int, int> MajorMinor(const std::string& version) {
  int major = 0;
  int minor = 0;
  std::sscanf(version.c_str(), "%d.%d", &major, &minor);
  return {major, minor};
}

void LookAtDatabase(const HealthFacts& facts, Problems* problems) {
  if (!facts.glance) return;
  const Json& database = facts.glance->overview;
  if (!facts.glance->reachable) {
    problems->push_back({"database_unreachable", true, "The database does not answer operators' questions.",
                         "See that PostgreSQL runs and has a connection left for the fan-out's role."});
    return;
  }
  const Json& installed = At(database, "extension_version");
  const std::string extension = installed.is_string() ? installed.get<std::string>() : std::string();
  const Json& stats = At(database, "stats");
  if (MajorMinor(extension) < MajorMinor(facts.version)) {
    problems->push_back({"extension_old", false,
                         fmt::format("The extension in the database is {}, this fan-out is {}: some of what operators "
                                     "ask is not there.",
                                     extension.empty() ? "not there" : extension, facts.version),
                         "Install the newer extension, restart PostgreSQL, then ALTER EXTENSION oa_sync UPDATE and "
                         "call sync_grant_reader again."});
  } else if (stats.is_null()) {
    problems->push_back({"functions_not_granted", false, "The fan-out's role may not call what operators ask.",
                         "Call sync_grant_reader for the role again: it grants what a newer version calls."});
  }
  if (std::llabs(facts.glance->clock_ahead_ms) >= kClockMs) {
    problems->push_back(
        {"clock_difference", false,
         fmt::format("The database's clock is {} s {} this machine's.", std::llabs(facts.glance->clock_ahead_ms) / 1000,
                     facts.glance->clock_ahead_ms > 0 ? "ahead of" : "behind"),
         "Let both keep time by NTP: latencies are wrong, and tokens end early or late."});
  }
  if (IsTrue(At(database, "default_partition_used"))) {
    problems->push_back({"default_partition", false,
                         "Events go to the journal's default partition, and none is made for the time to come.",
                         "The worker makes them: see whether it runs, waits for a lock, or cannot write."});
  }
  if (stats.is_object()) LookAtStatistics(facts, stats, problems);
}

void LookAtParity(const HealthFacts& facts, Problems* problems) {
  for (const ParityLaneFacts& lane : facts.parity) {
    if (!lane.enabled) continue;
    const double age_s = lane.audit_age_s < 0 ? lane.enabled_s : lane.audit_age_s;
    if (lane.max_age_s > 0 && age_s > lane.max_age_s) {
      problems->push_back(
          {"parity_mismatch", false,
           lane.audit_age_s < 0
               ? fmt::format("No audit of parity lane {} has come to an end in the {:.0f} s since it was enabled.",
                             lane.name, age_s)
               : fmt::format("The last audit of parity lane {} was {:.0f} s ago.", lane.name, age_s),
           "See that `oa-sync parity run` runs and what it logs; `oa-sync parity status` says why the last one failed. "
           "A lane that nobody audits any more is turned off with sync_parity_set_lane(name, enabled => false)."});
    }
    if (lane.checked > 0 && lane.mismatched > 0 &&
        static_cast<double>(lane.mismatched) >= lane.max_rate * static_cast<double>(lane.checked)) {
      problems->push_back(
          {"parity_mismatch", false,
           fmt::format("Of {} documents that were compared on parity lane {} in the last hour {} do not match.",
                       lane.checked, lane.name, lane.mismatched),
           "sync_parity_results has each with its reason and the side that it is booked to. Do not go on with a "
           "rollout: `oa-sync parity gate` is closed."});
    }
  }
}

void LookAtClients(const HealthFacts& facts, Problems* problems) {
  const auto recent = [&](Recent what, const char* code, const char* text, const char* todo) {
    const int64_t count = Count(facts, what);
    if (count > 0) problems->push_back({code, false, fmt::format("{} {} {}.", count, text, kInFiveMinutes), todo});
  };
  if (facts.max_connections > 0 &&
      static_cast<double>(facts.connections) >= kNearLimit * static_cast<double>(facts.max_connections)) {
    problems->push_back(
        {"connections_near_limit", false,
         fmt::format("{} of {} WebSockets are taken; more get 503.", facts.connections, facts.max_connections),
         "Start one more fan-out, or raise --max-connections and the limits of the process."});
  }
  recent(Recent::kTurnedAway, "turned_away", "connections were closed at once, for a limit",
         "denials in the overview and oa_sync_denials_total say which: too many handshakes, or connections of one "
         "address; or the process has no free descriptor.");
  recent(Recent::kRateLimited, "rate_limited", "requests were refused because they came too often",
         "Look for a client that asks in a loop. --max-requests-per-second and --http-requests-per-second are the "
         "limits.");
  recent(Recent::kStormsRefused, "storm", "joins, replays or topics were put off because there were too many at once",
         "After a restart this passes: each is told when to come back. Else raise --max-joins-per-second, "
         "--max-replays or --max-topics.");
  recent(Recent::kSlowClosed, "slow_consumers", "sockets were closed because they took nothing for too long",
         "They come back and resume. Look at the network between, or at clients that do too much with each event.");
  recent(Recent::kStaleCursors, "stale_cursors", "cursors could not be resumed",
         "Those clients begin anew from a snapshot. If it goes on, keep events for longer than clients are away, or "
         "raise the topics' replay budget.");
  recent(Recent::kHttpTimeouts, "http_timeouts", "HTTP answers were not out in time",
         "Snapshots take too long, or clients read too slowly: see --document-readers and --http-timeout-ms.");
}

void LookAtServer(const HealthFacts& facts, Problems* problems) {
  if (facts.stalled_loops > 0) {
    problems->push_back(
        {"loop_stalled", true,
         fmt::format("{} event loops do not turn: their clients get nothing.", facts.stalled_loops),
         "Keep a stack of its threads (gdb, or eu-stack) for who looks into it, then restart the fan-out."});
  }
  if (facts.memory_pressure) {
    problems->push_back({"memory_pressure", true, "The process is over --memory-limit-mb: new WebSockets are refused.",
                         "Start one more fan-out, or give this one more memory."});
  }
  if (facts.busiest_loop >= kBusyLoop) {
    problems->push_back(
        {"loop_busy", false,
         fmt::format("An event loop was busy for {:.0f} % of the last second.", 100 * facts.busiest_loop),
         "If it stays, start more fan-outs, or more --loops where there are cores."});
  }
  if (const int64_t count = Count(facts, Recent::kLoopLost); count > 0) {
    problems->push_back({"loop_lost", false,
                         fmt::format("{} times {} a loop did not keep up with a topic and read the journal instead.",
                                     count, kInFiveMinutes),
                         "Nothing is lost, but it costs: see --loop-queue-events and how busy the loops are."});
  }
  if (const int64_t count = Count(facts, Recent::kJournalErrors); count > 0) {
    problems->push_back({"journal_errors", false,
                         fmt::format("{} reads of the journal failed {}.", count, kInFiveMinutes),
                         "They are tried again. The log says why; a database that was restarted is one reason."});
  }
  if (facts.revocations_forgotten > 0) {
    problems->push_back({"revocations_forgotten", true,
                         fmt::format("{} revocations did not fit and are forgotten: who was shut out may get in.",
                                     facts.revocations_forgotten),
                         "Raise --max-revocations and restart; revoke for shorter times."});
  }
  if (!facts.revocations_known) {
    problems->push_back({"revocations_unknown", false, "The database has not told yet what is revoked.",
                         "It does when it answers; --require-revocations on lets nobody in before."});
  }
  if (Count(facts, Recent::kKeyFailures) > 0) {
    problems->push_back({"keys_not_read", false, "A key file has changed and could not be used: the old keys are.",
                         "The log says which and why. Put a whole file in its place by mv."});
  }
  if (Count(facts, Recent::kTlsFailures) > 0) {
    problems->push_back({"certificate_not_read", false,
                         "The certificate or its key has changed and could not be used: the old one is.",
                         "The log says why: most often only one of the two files is new."});
  }
  if (facts.certificate_expires_s == 0) return;
  const int64_t days = (facts.certificate_expires_s - facts.now_s) / kDayS;
  if (days < kCertificateSoonDays) {
    problems->push_back({"certificate_expires", days < kCertificateNowDays,
                         facts.certificate_expires_s <= facts.now_s
                             ? std::string("The certificate has expired: clients refuse to connect.")
                             : fmt::format("The certificate expires in {} days.", days),
                         "Put a new one in the place of --tls-cert and --tls-key: it is taken within a second."});
  }
}

}  // namespace

std::vector<Problem> FindProblems(const HealthFacts& facts) {
  Problems problems;
  LookAtTail(facts, &problems);
  LookAtDatabase(facts, &problems);
  LookAtParity(facts, &problems);
  LookAtServer(facts, &problems);
  LookAtClients(facts, &problems);
  std::stable_partition(problems.begin(), problems.end(), [](const Problem& problem) { return problem.is_critical; });
  return problems;
}

const std::vector<const char*>& ProblemCodes() {
  static const std::vector<const char*> kCodes = {"tail_down",
                                                  "canary_late",
                                                  "tail_on_journal",
                                                  "slot_wal",
                                                  "slot_behind",
                                                  "slot_invalidated",
                                                  "decode_errors",
                                                  "database_unreachable",
                                                  "extension_old",
                                                  "functions_not_granted",
                                                  "clock_difference",
                                                  "default_partition",
                                                  "worker_not_running",
                                                  "voids_pending",
                                                  "heads_evicted",
                                                  "parity_mismatch",
                                                  "loop_stalled",
                                                  "memory_pressure",
                                                  "loop_busy",
                                                  "loop_lost",
                                                  "journal_errors",
                                                  "revocations_forgotten",
                                                  "revocations_unknown",
                                                  "keys_not_read",
                                                  "certificate_not_read",
                                                  "certificate_expires",
                                                  "connections_near_limit",
                                                  "turned_away",
                                                  "rate_limited",
                                                  "storm",
                                                  "slow_consumers",
                                                  "stale_cursors",
                                                  "http_timeouts"};
  return kCodes;
}

}  // namespace oasync
