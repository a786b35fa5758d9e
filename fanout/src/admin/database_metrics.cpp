#include "admin/database_metrics.h"

#include <utility>

namespace oasync {
namespace {

using Json = nlohmann::json;
using Extras = std::vector<MetricsSources::Extra>;

constexpr double kUnknown = -1;

const Json& At(const Json& object, const char* name) {
  static const Json kNone;
  if (!object.is_object()) return kNone;
  const auto found = object.find(name);
  return found == object.end() ? kNone : *found;
}

double Number(const Json& object, const char* name, double otherwise) {
  const Json& value = At(object, name);
  return value.is_number() ? value.get<double>() : otherwise;
}

double Truth(const Json& object, const char* name) {
  const Json& value = At(object, name);
  return value.is_boolean() ? (value.get<bool>() ? 1 : 0) : kUnknown;
}

void AddCounters(const Json& database, const Json& stats, Extras* extras) {
  struct Counter {
    const char* name;
    const char* help;
    const char* member;
  };
  static constexpr Counter kCounters[] = {
      {"database_transactions_total", "Transactions that appended events", "transactions"},
      {"database_events_total", "Events appended, voids not counted", "events"},
      {"database_event_bytes_total", "Their bytes, as captured", "event_bytes"},
      {"database_spilled_bytes_total", "Bytes of events that went to temporary files", "spilled_bytes"},
      {"voids_filled_total", "Void events that the worker wrote", "voids_filled"},
      {"retention_cycles_total", "Cycles of retention", "retention_cycles"},
      {"retention_partitions_dropped_total", "Partitions that retention dropped", "partitions_dropped"},
      {"retention_partitions_skipped_total", "Partitions that stayed for a later cycle", "partitions_skipped"},
  };
  for (const Counter& counter : kCounters) {
    extras->push_back({counter.name, counter.help, false, Number(stats, counter.member, 0)});
  }
  extras->push_back({"write_failures_total", "Transactions that failed while they appended their events", false,
                     Number(database, "write_failures", 0)});
  static constexpr std::pair<const char*, const char*> kResults[] = {{"written", "documents_written"},
                                                                     {"stale", "documents_stale"},
                                                                     {"unchanged", "documents_unchanged"},
                                                                     {"drifted", "documents_drifted"}};
  for (const auto& [result, member] : kResults) {
    extras->push_back({"documents_total", "Writes to read models by what they came to", false, Number(stats, member, 0),
                       "result", result});
  }
}

void AddGauges(const Json& database, const Json& stats, Extras* extras) {
  const auto add = [extras](const char* name, const char* help, double value) {
    extras->push_back({name, help, true, value});
  };
  // Where the role may not ask for the statistics, whether a worker runs is not known.
  const bool has_worker = At(stats, "worker_pid").is_number();
  add("worker_running", "1 while the extension's worker runs in the database",
      stats.is_object() ? has_worker : kUnknown);
  add("worker_recovered", "1 once the holes of a crash are filled", Truth(stats, "recovered"));
  add("database_in_recovery", "1 while the server is a standby", Truth(database, "in_recovery"));
  add("voids_pending", "Watermarks of failed transactions that wait for the worker",
      Number(stats, "voids_pending", kUnknown));
  add("projection_lag_events", "Events of read models that have their place and can not be read yet",
      Number(database, "projection_lag", kUnknown));
  add("default_partition_used", "1 while events go to the default partition and none is made ahead",
      Truth(database, "default_partition_used"));
  add("journal_bytes", "Bytes of the journal on disk", Number(database, "journal_bytes", kUnknown));
  add("journal_partitions", "Partitions of the journal", Number(stats, "partitions", kUnknown));
  add("hot_topics", "Topics whose heads are in shared memory", Number(stats, "hot_topics", kUnknown));
  add("oldest_writer_seconds", "Age of the oldest transaction that writes",
      stats.is_object() ? Number(database, "oldest_writer_s", 0) : kUnknown);
  add("prepared_transactions", "Prepared transactions of the cluster",
      Number(database, "prepared_transactions", kUnknown));
  add("replication_slots", "Replication slots of the server that are taken", Number(database, "slots", kUnknown));
  add("replication_slots_max", "Replication slots that the server has", Number(database, "max_slots", kUnknown));
}

}  // namespace

void DatabaseMetrics::Tick() {
  const int64_t now = clock_.SteadyMs();
  if (interval_ms_ == 0 || now < next_ms_) return;
  next_ms_ = now + interval_ms_;
  glance_.Get([this](const GlanceRef& glance) { See(glance); });
}

void DatabaseMetrics::See(const GlanceRef& glance) {
  const std::lock_guard lock(mutex_);
  asked_ = true;
  reachable_ = glance->reachable;
  if (!glance->reachable) return;
  answer_ = glance;
  answered_ms_ = clock_.SteadyMs();
}

Extras DatabaseMetrics::Read() const {
  GlanceRef answer;
  Extras extras;
  {
    const std::lock_guard lock(mutex_);
    answer = answer_;
    extras.push_back({"database_reachable", "1 while the database answers what it is asked for these numbers", true,
                      asked_ ? (reachable_ ? 1.0 : 0.0) : kUnknown});
    extras.push_back({"database_answer_age_seconds", "Since it last did; -1 before the first", true,
                      answered_ms_ == 0 ? kUnknown : static_cast<double>(clock_.SteadyMs() - answered_ms_) / 1e3});
  }
  static const Json kNothing;
  const Json& database = answer ? answer->overview : kNothing;
  const Json& stats = At(database, "stats");
  // From nothing to what has been counted since PostgreSQL started would look like a sudden rise.
  if (stats.is_object()) AddCounters(database, stats, &extras);
  AddGauges(database, stats, &extras);
  extras.push_back({"database_clock_ahead_seconds", "How far the database's clock is ahead of this machine's", true,
                    answer ? static_cast<double>(answer->clock_ahead_ms) / 1e3 : 0});
  return extras;
}

}  // namespace oasync
