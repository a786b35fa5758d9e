#include "source_metrics.h"

#include <array>
#include <utility>

namespace oasync {
namespace {

// By SlotState.
constexpr std::array<const char*, 4> kSlotStates = {"none", "connecting", "creating", "live"};

using Extras = std::vector<MetricsSources::Extra>;

Extras DatabaseMetrics(const PgSourceStats& stats) {
  const auto value = [](const auto& counter) { return static_cast<double>(counter.load(std::memory_order_relaxed)); };
  return {
      {"pg_connects_total", "Connections to PostgreSQL established", false, value(stats.connects)},
      {"pg_reconnects_total", "Connections to PostgreSQL lost", false, value(stats.reconnects)},
      {"pg_journal_reads_total", "Queries of the journal and of heads that were answered", false,
       value(stats.journal_reads)},
      {"pg_journal_errors_total", "Queries of the journal and of heads that failed", false,
       value(stats.journal_errors)},
      {"pg_database_answers_total", "Snapshots, documents and commands that were answered", false,
       value(stats.database_answers)},
      {"pg_database_errors_total", "Snapshots, documents and commands that failed", false,
       value(stats.database_errors)},
      {"pg_stream_messages_total", "Updates received from the slot, topics of no interest included", false,
       value(stats.stream_messages)},
      {"pg_gaps_filled_total", "Live events that had to be read from the journal", false, value(stats.gaps_filled)},
      {"pg_decode_errors_total", "Updates that could not be understood", false, value(stats.decode_errors)},
      {"pg_stream_bytes_total", "Bytes of the updates received from the slot", false, value(stats.stream_bytes)},
      {"pg_slot_invalidations_total", "Slots that the server ended for max_slot_wal_keep_size", false,
       value(stats.slot_invalidations)},
      {"pg_slot_retained_wal_bytes", "WAL that the server keeps because of our slot", true,
       value(stats.slot_retained_bytes)},
      {"pg_slot_lag_bytes", "WAL that the slot has yet to bring", true, value(stats.slot_lag_bytes)},
      {"pg_slot_lag_seconds", "Age of the oldest WAL that the slot has yet to bring", true,
       value(stats.slot_lag_ms) / 1e3},
      {"pg_followed_topics", "Topics the tail follows", true, value(stats.followed_topics)},
      {"pg_held_events", "Live events that wait for a lower watermark", true, value(stats.held_events)},
      {"pg_epoch", "Epoch of the database, 0 before it is known", true, value(stats.epoch)},
  };
}

Extras CanaryMetrics(const Canary& canary) {
  const auto seconds = [](int64_t value, double unit) { return value < 0 ? -1 : static_cast<double>(value) / unit; };
  return {
      {"canary_age_seconds", "Since the last canary came through; -1 before the first", true,
       seconds(canary.age_ms(), 1e3)},
      {"canary_latency_seconds", "From the commit of the last canary to its arrival; -1 before the first", true,
       seconds(canary.latency_us(), 1e6)},
      {"canaries_received_total", "Canaries that came through, whoever sent them", false,
       static_cast<double>(canary.received())},
      {"canary_errors_total", "Canaries that could not be sent", false, static_cast<double>(canary.failures())},
  };
}

// Each with a label of a fixed list.
Extras TailMetrics(const PgSourceStats& stats) {
  static constexpr std::array<const char*, 3> kModes = {"down", "journal", "logical"};
  Extras extras;
  for (size_t i = 0; i < kModes.size(); ++i) {
    extras.push_back({"tail_mode_seconds_total", "Time spent in each tail mode", false,
                      static_cast<double>(stats.mode_ms[i].load(std::memory_order_relaxed)) / 1e3, "mode", kModes[i]});
  }
  for (size_t i = 0; i < kTailReasons; ++i) {
    extras.push_back({"tail_mode_changes_by_reason_total", "Changes of tail_mode by reason", false,
                      static_cast<double>(stats.mode_changes[i].load(std::memory_order_relaxed)), "reason",
                      TailReasonName(static_cast<TailReason>(i))});
  }
  for (size_t i = 0; i < kTailReasons; ++i) {
    extras.push_back({"tail_mode_reason", "1 for why the tail mode changed last", true,
                      stats.last_reason.load(std::memory_order_relaxed) == i ? 1.0 : 0.0, "reason",
                      TailReasonName(static_cast<TailReason>(i))});
  }
  for (size_t i = 0; i < kSlotStates.size(); ++i) {
    extras.push_back({"pg_slot_state", "1 for how far our slot is", true,
                      stats.slot_state.load(std::memory_order_relaxed) == i ? 1.0 : 0.0, "state", kSlotStates[i]});
  }
  return extras;
}

Extras QueueMetrics(const Router& router) {
  return {
      {"loop_queue_events", "Live events that wait for event loops", true, static_cast<double>(router.queued_events())},
      {"loop_queue_bytes", "Bytes of them", true, static_cast<double>(router.queued_bytes())},
      {"loop_queue_lost_total", "Times that a loop did not keep up with a topic and had to read the journal", false,
       static_cast<double>(router.topics_lost())},
  };
}

}  // namespace

TailFacts TailFactsOf(const PgSourceStats& stats) {
  const auto value = [](const auto& counter) { return counter.load(std::memory_order_relaxed); };
  TailFacts facts;
  facts.reason = TailReasonName(static_cast<TailReason>(value(stats.last_reason)));
  facts.changed_at_ms = value(stats.mode_changed_ms);
  facts.topics_followed = value(stats.followed_topics);
  facts.epoch = value(stats.epoch);
  if (const auto name = stats.slot_name.Get()) facts.slot_name = *name;
  facts.slot_state = kSlotStates[value(stats.slot_state)];
  facts.slot_wal_bytes = value(stats.slot_retained_bytes);
  facts.slot_lag_ms = static_cast<int64_t>(value(stats.slot_lag_ms));
  facts.journal_errors = value(stats.journal_errors);
  facts.decode_errors = value(stats.decode_errors);
  facts.slot_invalidations = value(stats.slot_invalidations);
  return facts;
}

Extras SourceMetrics(const PgSourceStats& stats, const Canary& canary, const Router& router) {
  Extras all;
  for (Extras& part :
       std::array<Extras, 4>{DatabaseMetrics(stats), TailMetrics(stats), CanaryMetrics(canary), QueueMetrics(router)}) {
    for (auto& extra : part) all.push_back(std::move(extra));
  }
  return all;
}

}  // namespace oasync
