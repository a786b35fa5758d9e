#include "net/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <limits>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "auth/token.h"

namespace oasync {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

constexpr double kUsPerSecond = 1e6;
constexpr double kNsPerSecond = 1e9;

struct Described {
  Cell LoopCounters::*cell;
  const char* name;
  const char* help;
  bool gauge;
};

constexpr Described kCells[] = {
    {&LoopCounters::connections, "connections", "Open WebSockets of the public listener", true},
    {&LoopCounters::admin_connections, "admin_connections", "Open WebSockets of the admin listener", true},
    {&LoopCounters::joined, "joined", "WebSockets that have joined the channel", true},
    {&LoopCounters::subscriptions, "subscriptions", "Topics followed, summed over sessions", true},
    {&LoopCounters::topics, "topics", "Topics held, summed over loops", true},
    {&LoopCounters::window_events, "window_events", "Events held in windows", true},
    {&LoopCounters::window_bytes, "window_bytes", "Bytes of the events held in windows", true},
    {&LoopCounters::accepted, "accepted_total", "TCP connections accepted", false},
    {&LoopCounters::accept_errors, "accept_errors_total", "Failures to accept, such as no free descriptor", false},
    {&LoopCounters::joins, "joins_total", "Channel joins", false},
    {&LoopCounters::reconnects, "reconnects_total", "Channel joins that brought a cursor", false},
    {&LoopCounters::subscribes, "subscribes_total", "Subscribe requests taken up", false},
    {&LoopCounters::messages_received, "messages_received_total", "Messages from clients", false},
    {&LoopCounters::bytes_received, "bytes_received_total", "Bytes of messages from clients", false},
    {&LoopCounters::frames_sent, "frames_sent_total", "Frames sent, of every kind", false},
    {&LoopCounters::bytes_sent, "bytes_sent_total", "Bytes of frames sent", false},
    {&LoopCounters::frames_encoded, "batches_encoded_total", "Batches built; the others were shared", false},
    {&LoopCounters::deflated, "batches_deflated_total", "Batches compressed; the others were shared or too small",
     false},
    {&LoopCounters::deflate_bytes_in, "deflate_input_bytes_total", "Bytes of the batches compressed", false},
    {&LoopCounters::deflate_bytes_out, "deflate_output_bytes_total", "What they became", false},
    {&LoopCounters::replay_gap_waits, "replay_gap_waits_total", "Replays that had to wait for the journal", false},
    {&LoopCounters::heartbeats_sent, "heartbeats_sent_total", "sync:heartbeat pushes", false},
    {&LoopCounters::heartbeats_received, "heartbeats_received_total", "Heartbeats from clients", false},
    {&LoopCounters::silent_closed, "silent_closed_total", "Sockets closed because the client was silent", false},
    {&LoopCounters::slow_closed, "slow_closed_total", "Sockets closed because nothing could be written", false},
    {&LoopCounters::slow_strikes, "slow_strikes_total", "Times that a socket took no byte for the stall time", false},
    {&LoopCounters::handshake_timeouts, "handshake_timeouts_total", "Connections that never became WebSockets", false},
    {&LoopCounters::malformed, "malformed_frames_total", "Sockets closed for a frame that is no message", false},
    {&LoopCounters::oversized, "oversized_frames_total", "Sockets closed for a message over the limit", false},
    {&LoopCounters::rate_limited, "rate_limited_total", "Requests answered with rate_limited", false},
    {&LoopCounters::admin_accepted, "admin_accepted_total", "TCP connections to the admin listener", false},
    {&LoopCounters::tls_handshakes, "tls_handshakes_total", "TLS handshakes completed", false},
    {&LoopCounters::tls_failures, "tls_unfinished_handshakes", "TLS handshakes begun but not completed (yet)", true},
    {&LoopCounters::turned_away, "turned_away_total", "Connections closed at once, for a limit", false},
    {&LoopCounters::http_bytes, "http_bytes_sent_total", "Bytes of HTTP answers", false},
    {&LoopCounters::http_timeouts, "http_timeouts_total", "HTTP requests whose answer was not out in time", false},
};

MetricFamily Family(const std::string& name, const std::string& help, MetricType type) {
  MetricFamily family;
  family.name = "oa_sync_" + name;
  family.help = help;
  family.type = type;
  return family;
}

void AddValue(MetricFamily* family, double value, const char* label = nullptr, std::string label_value = {}) {
  ClientMetric metric;
  if (label != nullptr) metric.label.push_back({label, std::move(label_value)});
  (family->type == MetricType::Gauge ? metric.gauge.value : metric.counter.value) = value;
  family->metric.push_back(std::move(metric));
}

template <typename Read>
double Sum(const MetricsSources& sources, Read read) {
  int64_t sum = 0;
  for (const auto& loop : sources.loops) sum += read(*loop).Get();
  return static_cast<double>(sum);
}

// Refusals that are not a token's fault.
constexpr const char* kDenials[] = {"revocations_unknown",
                                    "origin_not_allowed",
                                    "too_many_connections",
                                    "too_many_handshakes",
                                    "too_many_connections_of_address",
                                    "too_many_connections_of_subject",
                                    "memory_pressure",
                                    "forbidden_topic"};

// Of the labels `known` there is a sample from the start: the rate of a counter that comes into being at its first
// event would not have that event.
MetricFamily Labelled(const char* name, const char* help, const char* label, const LabelledCounter& counter,
                      const std::vector<const char*>& known) {
  MetricFamily family = Family(name, help, MetricType::Counter);
  auto values = counter.Read();
  for (const char* value : known) values.try_emplace(value, 0);
  for (const auto& [value, count] : values) AddValue(&family, static_cast<double>(count), label, value);
  return family;
}

// A histogram, summed over the loops; what it counts is divided by `unit`.
template <typename Read>
ClientMetric Distribution(const MetricsSources& sources, double unit, Read read) {
  const auto& bounds = std::remove_cvref_t<decltype(read(*sources.loops.front()))>::kUpperBounds;
  ClientMetric metric;
  uint64_t cumulative = 0;
  double sum = 0;
  for (size_t i = 0; i <= bounds.size(); ++i) {
    for (const auto& loop : sources.loops) cumulative += static_cast<uint64_t>(read(*loop).Bucket(i));
    const double bound =
        i < bounds.size() ? static_cast<double>(bounds[i]) / unit : std::numeric_limits<double>::infinity();
    metric.histogram.bucket.push_back({cumulative, bound});
  }
  for (const auto& loop : sources.loops) sum += static_cast<double>(read(*loop).Sum());
  metric.histogram.sample_count = cumulative;
  metric.histogram.sample_sum = sum / unit;
  return metric;
}

void AddDistributions(const MetricsSources& sources, std::vector<MetricFamily>* families) {
  const auto add = [&](const char* name, const char* help, double unit, auto read) {
    families->push_back(Family(name, help, MetricType::Histogram));
    families->back().metric.push_back(Distribution(sources, unit, read));
  };
  add(
      "commit_to_socket_seconds", "Oldest live event of a batch: from its commit to the hand-over to the socket",
      kUsPerSecond, [](const LoopCounters& loop) -> const auto& { return loop.commit_to_socket; });
  add(
      "batch_updates", "Updates of the batches built", 1,
      [](const LoopCounters& loop) -> const auto& { return loop.batch_updates; });
  add(
      "batch_bytes", "Bytes of the batches built", 1,
      [](const LoopCounters& loop) -> const auto& { return loop.batch_bytes; });
  add(
      "subscriber_lag_events", "Events a subscription was not sent yet, once a heartbeat", 1,
      [](const LoopCounters& loop) -> const auto& { return loop.lag_events; });
  add(
      "subscriber_lag_seconds", "How long a subscription has been behind, once a heartbeat", kUsPerSecond,
      [](const LoopCounters& loop) -> const auto& { return loop.lag_time; });
  static constexpr const char* kSources[] = {"window", "page_cache", "journal"};
  families->push_back(Family("replay_seconds", "From a subscribe to the head it saw", MetricType::Histogram));
  for (size_t i = 0; i < 3; ++i) {
    ClientMetric metric = Distribution(
        sources, kUsPerSecond, [i](const LoopCounters& loop) -> const auto& { return loop.replay_time[i]; });
    metric.label.push_back({"source", kSources[i]});
    families->back().metric.push_back(std::move(metric));
  }
}

// The largest of the loops' maxima.
void AddMaxima(const MetricsSources& sources, std::vector<MetricFamily>* families) {
  const auto add = [&](const char* name, const char* help, double unit, Cell LoopCounters::*cell) {
    int64_t most = 0;
    for (const auto& loop : sources.loops) most = std::max(most, (loop.get()->*cell).Get());
    families->push_back(Family(name, help, MetricType::Gauge));
    AddValue(&families->back(), static_cast<double>(most) / unit);
  };
  add("subscriber_lag_events_max", "Most events that a subscription was behind in the last heartbeat's interval", 1,
      &LoopCounters::lag_events_max);
  add("subscriber_lag_seconds_max", "Longest that a subscription was behind in the last heartbeat's interval",
      kUsPerSecond, &LoopCounters::lag_us_max);
}

void AddPages(const PageCache& pages, std::vector<MetricFamily>* families) {
  const PageCacheStats& stats = pages.stats();
  const auto add = [&](const char* name, const char* help, uint64_t value, MetricType type = MetricType::Counter) {
    families->push_back(Family(name, help, type));
    AddValue(&families->back(), static_cast<double>(value));
  };
  add("journal_reads_total", "Reads of journal pages", stats.reads);
  add("journal_read_errors_total", "Failed reads of journal pages", stats.errors);
  add("page_cache_hits_total", "Replays that found their page in memory", stats.hits);
  add("page_cache_joined_total", "Replays that joined a read under way", stats.joined);
  add("page_cache_waits_total", "Replays that waited for memory or for other reads", stats.waited);
  add("page_cache_evictions_total", "Pages dropped to make room", stats.evictions);
  add("page_cache_waiting", "Replays that wait for memory or for other reads now", stats.waiting, MetricType::Gauge);
  add("page_cache_bytes", "Bytes of journal pages in memory, those in use included", pages.bytes(), MetricType::Gauge);
}

// "route status" of each answer.
MetricFamily HttpRequests(const MetricsSources& sources) {
  MetricFamily family = Family(
      "http_requests_total", "HTTP answers by route and status, refused upgrades not among them", MetricType::Counter);
  for (const auto& [label, count] : sources.shared.http.Read()) {
    const size_t space = label.find(' ');
    ClientMetric metric;
    metric.label.push_back({"route", label.substr(0, space)});
    metric.label.push_back({"status", label.substr(space + 1)});
    metric.counter.value = static_cast<double>(count);
    family.metric.push_back(std::move(metric));
  }
  return family;
}

void AddLoops(const MetricsSources& sources, std::vector<MetricFamily>* families) {
  MetricFamily busy = Family("loop_busy_seconds_total", "Time that an event loop did not wait", MetricType::Counter);
  for (size_t i = 0; i < sources.loops.size(); ++i) {
    AddValue(&busy, static_cast<double>(sources.loops[i]->busy_us.Get()) / kUsPerSecond, "loop", std::to_string(i));
  }
  families->push_back(std::move(busy));
}

void AddTls(const MetricsSources& sources, std::vector<MetricFamily>* families) {
  MetricFamily expires = Family("tls_certificate_expires_seconds",
                                "Unix time at which the certificate in use expires; 0 without TLS", MetricType::Gauge);
  AddValue(&expires, static_cast<double>(sources.tls_expires_s.load(std::memory_order_relaxed)));
  families->push_back(std::move(expires));
  families->push_back(
      Labelled("tls_reloads_total", "Certificates read again", "result", sources.shared.tls_reloads, {"ok", "failed"}));
}

void AddTail(const MetricsSources& sources, std::vector<MetricFamily>* families) {
  static constexpr const char* kModes[] = {"down", "journal", "logical"};
  MetricFamily mode = Family("tail_mode", "1 for where live events come from now", MetricType::Gauge);
  for (size_t i = 0; i < 3; ++i) {
    AddValue(&mode, static_cast<size_t>(sources.router->tail_mode()) == i ? 1 : 0, "mode", kModes[i]);
  }
  families->push_back(std::move(mode));
  MetricFamily changes = Family("tail_mode_changes_total", "Changes of tail_mode", MetricType::Counter);
  AddValue(&changes, static_cast<double>(sources.router->tail_mode_changes()));
  families->push_back(std::move(changes));
  MetricFamily events = Family("tail_events_total", "Live events received, voids included", MetricType::Counter);
  AddValue(&events, static_cast<double>(sources.router->events_received()));
  families->push_back(std::move(events));
  MetricFamily silence = Family("tail_silence_seconds", "Since the tail last heard from the database; -1 before it did",
                                MetricType::Gauge);
  const int64_t us = sources.tail_silence_us();
  AddValue(&silence, us < 0 ? -1 : static_cast<double>(us) / kUsPerSecond);
  families->push_back(std::move(silence));
}

// Every limit and time that is a number, so that a graph can show how near to it the server is.
MetricFamily Limits(const std::vector<Setting>& settings) {
  MetricFamily family = Family("setting", "Settings in effect that are numbers", MetricType::Gauge);
  for (const Setting& setting : settings) {
    if (setting.is_number && !setting.is_secret) {
      AddValue(&family, std::strtod(setting.value.c_str(), nullptr), "name", setting.name.substr(2));
    }
  }
  return family;
}

// Families that are there without lanes too, so that a dashboard knows them.
void AddParity(const MetricsSources& sources, std::vector<MetricFamily>* families) {
  MetricFamily checks =
      Family("parity_checks_total", "Documents that parity audits compared, by outcome", MetricType::Counter);
  MetricFamily ages =
      Family("parity_audit_age_seconds", "Since the newest audit of a lane; -1 before the first", MetricType::Gauge);
  for (const auto& lane : sources.parity ? sources.parity() : std::vector<MetricsSources::ParityLane>()) {
    for (const auto& [reason, count] : lane.checks) {
      AddValue(&checks, count, "lane", lane.name);
      checks.metric.back().label.push_back({"reason", reason});
    }
    AddValue(&ages, lane.audit_age_s, "lane", lane.name);
  }
  families->push_back(std::move(checks));
  families->push_back(std::move(ages));
}

}  // namespace

std::string RenderMetrics(const MetricsSources& sources) {
  std::vector<MetricFamily> families;
  for (const Described& described : kCells) {
    families.push_back(
        Family(described.name, described.help, described.gauge ? MetricType::Gauge : MetricType::Counter));
    AddValue(&families.back(),
             Sum(sources, [&](const LoopCounters& loop) -> const Cell& { return loop.*described.cell; }));
  }
  static constexpr const char* kEncodings[] = {"json", "proto"};
  MetricFamily batches = Family("batches_sent_total", "Update batches sent", MetricType::Counter);
  MetricFamily updates = Family("updates_sent_total", "Updates sent", MetricType::Counter);
  for (size_t i = 0; i < 2; ++i) {
    AddValue(&batches, Sum(sources, [&](const LoopCounters& loop) -> const Cell& { return loop.batches_sent[i]; }),
             "encoding", kEncodings[i]);
    AddValue(&updates, Sum(sources, [&](const LoopCounters& loop) -> const Cell& { return loop.updates_sent[i]; }),
             "encoding", kEncodings[i]);
  }
  families.push_back(std::move(batches));
  families.push_back(std::move(updates));
  MetricFamily by_source =
      Family("batches_by_source_total", "Update batches by where they came from", MetricType::Counter);
  AddValue(&by_source, Sum(sources, [](const LoopCounters& loop) -> const Cell& { return loop.window_batches; }),
           "source", "window");
  AddValue(&by_source, Sum(sources, [](const LoopCounters& loop) -> const Cell& { return loop.journal_batches; }),
           "source", "journal");
  families.push_back(std::move(by_source));
  static constexpr const char* kUpgradeResults[] = {"accepted", "unauthorized", "refused"};
  MetricFamily upgrades =
      Family("upgrades_total", "Requests for a WebSocket at the public listener", MetricType::Counter);
  for (size_t i = 0; i < std::size(kUpgradeResults); ++i) {
    AddValue(&upgrades, Sum(sources, [&](const LoopCounters& loop) -> const Cell& { return loop.upgrades[i]; }),
             "result", kUpgradeResults[i]);
  }
  families.push_back(std::move(upgrades));
  const std::span<const char* const> faults = TokenFaultNames();
  std::vector<const char*> denials(faults.begin(), faults.end());
  denials.insert(denials.end(), std::begin(kDenials), std::end(kDenials));
  families.push_back(
      Labelled("denials_total", "Refused connections and requests", "reason", sources.shared.denials, denials));
  families.push_back(
      Labelled("stale_cursors_total", "Cursors answered with stale_cursor", "reason", sources.shared.stale,
               {"retention_floor_breach", "replay_budget_exceeded", "cursor_ahead_of_head", "epoch_diverged"}));
  families.push_back(Labelled("storms_refused_total", "Requests refused because there were too many at the moment",
                              "kind", sources.shared.storms, {"joins", "replays", "topics"}));
  families.push_back(Labelled("closed_total", "Sockets closed by the server", "reason", sources.shared.closed,
                              {"token_expired", "revoked", "slow"}));
  families.push_back(
      Labelled("key_reloads_total", "Key files read again", "result", sources.shared.key_reloads, {"ok", "failed"}));
  MetricFamily encoding = Family("encode_seconds_total", "Time spent on building batches", MetricType::Counter);
  AddValue(&encoding,
           Sum(sources, [](const LoopCounters& loop) -> const Cell& { return loop.encode_ns; }) / kNsPerSecond);
  families.push_back(std::move(encoding));
  MetricFamily deflating = Family("deflate_seconds_total", "Time spent on compressing batches", MetricType::Counter);
  AddValue(&deflating,
           Sum(sources, [](const LoopCounters& loop) -> const Cell& { return loop.deflate_ns; }) / kNsPerSecond);
  families.push_back(std::move(deflating));
  AddDistributions(sources, &families);
  AddMaxima(sources, &families);
  AddPages(*sources.pages, &families);
  MetricFamily replays = Family("replays", "Subscribes under way that read the journal", MetricType::Gauge);
  AddValue(&replays, sources.admission->replays());
  families.push_back(std::move(replays));
  families.push_back(HttpRequests(sources));
  AddLoops(sources, &families);
  AddTls(sources, &families);
  AddTail(sources, &families);
  AddParity(sources, &families);
  if (sources.settings != nullptr) families.push_back(Limits(*sources.settings));
  for (const auto& extra : sources.extras()) {
    if (families.back().name != "oa_sync_" + extra.name) {
      families.push_back(Family(extra.name, extra.help, extra.gauge ? MetricType::Gauge : MetricType::Counter));
    }
    AddValue(&families.back(), extra.value, extra.label, extra.label_value);
  }
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace oasync
