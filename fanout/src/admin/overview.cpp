#include "admin/overview.h"

#include <algorithm>
#include <utility>

#include "admin/views.h"
#include "auth/revocation_list.h"
#include "net/health.h"
#include "wire/messages.h"

namespace oasync {
namespace {

constexpr double kUsPerMs = 1000;
constexpr double kUsPerSecond = 1e6;
constexpr char kDocs[] = "docs/operations/problems.md#";

const char* ModeName(TailMode mode) {
  static constexpr const char* kNames[] = {"down", "journal", "logical"};
  return kNames[static_cast<size_t>(mode)];
}

template <typename Read>
int64_t Sum(const MetricsSources& metrics, Read read) {
  int64_t sum = 0;
  for (const auto& loop : metrics.loops) sum += read(*loop);
  return sum;
}

int64_t Sum(const MetricsSources& metrics, Cell LoopCounters::*cell) {
  return Sum(metrics, [cell](const LoopCounters& loop) { return (loop.*cell).Get(); });
}

int64_t Most(const MetricsSources& metrics, Cell LoopCounters::*cell) {
  int64_t most = 0;
  for (const auto& loop : metrics.loops) most = std::max(most, ((*loop).*cell).Get());
  return most;
}

int64_t Total(const LabelledCounter& counter) {
  uint64_t total = 0;
  for (const auto& [label, count] : counter.Read()) total += count;
  return static_cast<int64_t>(total);
}

int64_t ValueOf(const LabelledCounter& counter, std::string_view label) {
  const auto values = counter.Read();
  const auto found = values.find(label);
  return found == values.end() ? 0 : static_cast<int64_t>(found->second);
}

int64_t Observed(const LatencyHistogram& histogram) {
  int64_t count = 0;
  for (size_t i = 0; i <= kLatencyBoundsUs.size(); ++i) count += histogram.Bucket(i);
  return count;
}

// Answers "429" of whatever route.
int64_t TooManyRequests(const LabelledCounter& http) {
  uint64_t count = 0;
  for (const auto& [label, answers] : http.Read()) {
    if (label.ends_with(" 429")) count += answers;
  }
  return static_cast<int64_t>(count);
}

Json TotalsJson(const MetricsSources& metrics) {
  Json denials = Json::object();
  for (const auto& [reason, count] : metrics.shared.denials.Read()) denials[reason] = count;
  const PageCacheStats& pages = metrics.pages->stats();
  return {
      {"events_in", metrics.router->events_received()},
      {"events_out",
       Sum(metrics, [](const LoopCounters& loop) { return loop.updates_sent[0].Get() + loop.updates_sent[1].Get(); })},
      {"bytes_out", Sum(metrics, &LoopCounters::bytes_sent)},
      {"batches",
       Sum(metrics, [](const LoopCounters& loop) { return loop.batches_sent[0].Get() + loop.batches_sent[1].Get(); })},
      {"joins", Sum(metrics, &LoopCounters::joins)},
      {"replays", Sum(metrics,
                      [](const LoopCounters& loop) {
                        return Observed(loop.replay_time[0]) + Observed(loop.replay_time[1]) +
                               Observed(loop.replay_time[2]);
                      })},
      {"page_hits", pages.hits.load(std::memory_order_relaxed)},
      {"page_misses", pages.reads.load(std::memory_order_relaxed)},
      {"rate_limited", Sum(metrics, &LoopCounters::rate_limited) + TooManyRequests(metrics.shared.http)},
      {"slow_consumers", Sum(metrics, &LoopCounters::slow_closed)},
      {"stale_cursors", Total(metrics.shared.stale)},
      {"denials", std::move(denials)},
      {"heartbeats", Sum(metrics, &LoopCounters::heartbeats_sent)},
      {"timeouts", Sum(metrics,
                       [](const LoopCounters& loop) {
                         return loop.silent_closed.Get() + loop.handshake_timeouts.Get() + loop.http_timeouts.Get();
                       })},
  };
}

Json LatencyJson(const MetricsSources& metrics) {
  Json bounds = Json::array();
  Json counts = Json::array();
  int64_t cumulative = 0;
  for (size_t i = 0; i < kLatencyBoundsUs.size(); ++i) {
    cumulative += Sum(metrics, [i](const LoopCounters& loop) { return loop.commit_to_socket.Bucket(i); });
    bounds.push_back(static_cast<double>(kLatencyBoundsUs[i]) / kUsPerMs);
    counts.push_back(cumulative);
  }
  const auto beyond = [](const LoopCounters& loop) { return loop.commit_to_socket.Bucket(kLatencyBoundsUs.size()); };
  const int64_t sum_us = Sum(metrics, [](const LoopCounters& loop) { return loop.commit_to_socket.Sum(); });
  return {{"buckets_ms", std::move(bounds)},
          {"counts", std::move(counts)},
          {"count", cumulative + Sum(metrics, beyond)},
          {"sum_ms", static_cast<double>(sum_us) / kUsPerMs}};
}

Json LoopsJson(const MetricsSources& metrics, const std::vector<double>& load) {
  Json loops = Json::array();
  for (size_t i = 0; i < metrics.loops.size(); ++i) {
    loops.push_back({{"utilisation", i < load.size() ? load[i] : 0.0},
                     {"sockets", metrics.loops[i]->connections.Get() + metrics.loops[i]->admin_connections.Get()}});
  }
  return loops;
}

Json ProblemsJson(const std::vector<Problem>& problems) {
  Json list = Json::array();
  for (const Problem& problem : problems) {
    list.push_back({{"code", problem.code},
                    {"severity", problem.is_critical ? "critical" : "warning"},
                    {"what", problem.what},
                    {"todo", problem.todo},
                    {"doc", std::string(kDocs) + problem.code}});
  }
  return list;
}

// Null before the extension has told anything. Numbers of statistics that 2^53 does not hold are decimal strings.
Json DatabaseJson(const Glance& glance) {
  if (!glance.reachable) return {{"reachable", false}};
  const auto member = [&glance](const char* name) {
    const auto found = glance.overview.find(name);
    return found == glance.overview.end() ? Json() : *found;
  };
  Json stats = member("stats");
  if (stats.is_object()) {
    for (auto& value : stats) {
      if (value.is_number_unsigned()) value = WatermarkJson(value.get<uint64_t>());
    }
  }
  Json worker = stats.is_object() && stats.contains("worker_pid") ? stats["worker_pid"] : Json();
  return {{"reachable", true},
          {"server_version", member("server_version")},
          {"extension_version", member("extension_version")},
          {"in_recovery", member("in_recovery")},
          {"clock_ahead_ms", glance.clock_ahead_ms},
          {"worker_pid", std::move(worker)},
          {"stats", std::move(stats)}};
}

}  // namespace

Overview::Overview(OverviewEnvironment environment, OperatorDatabase& database)
    : environment_(std::move(environment)),
      glance_(database, environment_.shared.clock),
      recent_([this] { return Counted(); }),
      load_([&metrics = environment_.shared.metrics] {
        std::vector<int64_t> busy;
        for (const auto& loop : metrics.loops) busy.push_back(loop->busy_us.Get());
        return busy;
      }) {}

void Overview::Tick() {
  const int64_t now = environment_.shared.clock.SteadyMs();
  glance_.Tick();
  recent_.Tick(now);
  load_.Tick(now);
}

void Overview::Answer(HttpReply reply) {
  glance_.Get([this, reply = std::move(reply)](const GlanceRef& glance) {
    HttpAnswer answer;
    answer.body = Render(glance);
    reply(std::move(answer));
  });
}

RecentCounts Overview::Counted() const {
  const MetricsSources& metrics = environment_.shared.metrics;
  const SharedCounters& shared = metrics.shared;
  const TailFacts tail = environment_.tail();
  const GlanceRef glance = glance_.last();
  RecentCounts counts{};
  const auto set = [&counts](Recent what, int64_t count) { counts[static_cast<size_t>(what)] = count; };
  set(Recent::kRateLimited,
      Sum(metrics, &LoopCounters::rate_limited) - Total(shared.storms) + TooManyRequests(shared.http));
  set(Recent::kStormsRefused, Total(shared.storms));
  set(Recent::kSlowClosed, Sum(metrics, &LoopCounters::slow_closed));
  set(Recent::kStaleCursors, Total(shared.stale));
  set(Recent::kTurnedAway, Sum(metrics, &LoopCounters::turned_away) + Sum(metrics, &LoopCounters::accept_errors));
  set(Recent::kHttpTimeouts, Sum(metrics, &LoopCounters::http_timeouts));
  set(Recent::kJournalErrors, static_cast<int64_t>(tail.journal_errors));
  set(Recent::kLoopLost, static_cast<int64_t>(metrics.router->topics_lost()));
  set(Recent::kDecodeErrors, static_cast<int64_t>(tail.decode_errors));
  set(Recent::kSlotInvalidations, static_cast<int64_t>(tail.slot_invalidations));
  set(Recent::kKeyFailures, ValueOf(shared.key_reloads, "failed"));
  set(Recent::kTlsFailures, ValueOf(shared.tls_reloads, "failed"));
  set(Recent::kHeadsEvicted, glance ? glance->heads_evicted : 0);
  return counts;
}

HealthFacts Overview::Facts(const GlanceRef& glance, const TailFacts& tail) const {
  const ServerShared& shared = environment_.shared;
  const MetricsSources& metrics = shared.metrics;
  const int64_t now_ms = shared.clock.WallMs();
  const Readiness readiness = environment_.readiness();
  const std::vector<double> load = load_.Read();
  HealthFacts facts;
  facts.tail_mode = metrics.router->tail_mode();
  facts.tail_reason = tail.reason;
  facts.tail_in_mode_ms = now_ms - (tail.changed_at_ms == 0 ? environment_.started_at_ms : tail.changed_at_ms);
  facts.tail_wants_slot = shared.config.tail_auto;
  facts.slot_wal_bytes = static_cast<int64_t>(tail.slot_wal_bytes);
  facts.max_slot_wal_bytes = static_cast<int64_t>(shared.config.max_slot_wal_bytes);
  facts.slot_lag_ms = tail.slot_lag_ms;
  facts.unready_reason = readiness.ready ? std::string() : readiness.reason;
  facts.canary_age_ms = environment_.canary_age_ms();
  facts.ready_within_ms = shared.config.ready_within_ms;
  facts.revocations_known = shared.revocations.IsKnown();
  facts.revocations_forgotten = static_cast<int64_t>(shared.revocations.OverflowCount());
  facts.connections = Sum(metrics, &LoopCounters::connections);
  facts.max_connections = shared.config.max_connections;
  facts.memory_pressure = shared.memory_pressure.load(std::memory_order_relaxed);
  facts.stalled_loops = StalledLoops(metrics, shared.clock.SteadyMs(), shared.config.loop_stall_ms);
  facts.busiest_loop = load.empty() ? 0 : *std::max_element(load.begin(), load.end());
  facts.certificate_expires_s = metrics.tls_expires_s.load(std::memory_order_relaxed);
  facts.now_s = now_ms / 1000;
  facts.version = environment_.version;
  facts.recent = recent_.Read();
  facts.glance = glance;
  if (environment_.parity) facts.parity = environment_.parity();
  return facts;
}

std::string Overview::Render(const GlanceRef& glance) const {
  const ServerShared& shared = environment_.shared;
  const MetricsSources& metrics = shared.metrics;
  const TailFacts tail = environment_.tail();
  const Readiness readiness = environment_.readiness();
  const AdminLimits limits;
  const int64_t silence_us = metrics.tail_silence_us();
  const auto or_null = [](const std::string& text) { return text.empty() ? Json() : Json(text); };
  Json slot;
  if (!tail.slot_name.empty()) {
    slot = {{"name", tail.slot_name}, {"retained_wal_bytes", tail.slot_wal_bytes}, {"state", tail.slot_state}};
  }
  const Json body = {
      {"server",
       {{"version", environment_.version},
        {"started_at", environment_.started_at_ms},
        {"now", shared.clock.WallMs()},
        {"loops", metrics.loops.size()},
        {"listen", environment_.listen()},
        {"public_url", or_null(shared.config.public_url)}}},
      {"health",
       {{"status", readiness.ready ? "ready" : "not_ready"},
        {"reason", readiness.ready ? Json() : Json(readiness.reason)},
        {"problems", ProblemsJson(FindProblems(Facts(glance, tail)))}}},
      {"tail",
       {{"mode", ModeName(metrics.router->tail_mode())},
        {"reason", tail.changed_at_ms == 0 ? Json() : Json(tail.reason)},
        {"changed_at", tail.changed_at_ms == 0 ? Json() : Json(tail.changed_at_ms)},
        {"silence_ms", silence_us < 0 ? -1 : silence_us / 1000},
        {"topics_followed", tail.topics_followed},
        {"epoch", std::to_string(tail.epoch)},
        {"slot", std::move(slot)}}},
      {"connections",
       {{"open", Sum(metrics, &LoopCounters::connections)},
        {"joined", Sum(metrics, &LoopCounters::joined)},
        {"limit", shared.config.max_connections},
        {"admin", Sum(metrics, &LoopCounters::admin_connections)},
        {"accepted_total", Sum(metrics, &LoopCounters::accepted)},
        {"reconnects_total", Sum(metrics, &LoopCounters::reconnects)}}},
      {"totals", TotalsJson(metrics)},
      {"latency", LatencyJson(metrics)},
      {"lag",
       {{"events_max", Most(metrics, &LoopCounters::lag_events_max)},
        {"seconds_max", static_cast<double>(Most(metrics, &LoopCounters::lag_us_max)) / kUsPerSecond}}},
      {"loops", LoopsJson(metrics, load_.Read())},
      {"limits",
       {{"topics", limits.topics},
        {"events", limits.events},
        {"event_bytes", limits.event_bytes},
        {"events_searched", limits.events_searched},
        {"sessions", limits.sessions},
        {"session_topics", kSurveyedTopics},
        {"subscriptions_compared", kSurveyedSubscriptions}}},
      {"database", DatabaseJson(*glance)},
  };
  return body.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace oasync
