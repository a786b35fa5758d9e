// oa-sync-fanout: reads its settings, brings the parts together, and waits for the signal to stop.
#include <libwebsockets.h>
#include <pthread.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "auth/authentication.h"
#include "base/log.h"
#include "base/ticker.h"
#include "config.h"
#include "hub/canary.h"
#include "hub/revocation_feed.h"
#include "hub/system_topics.h"
#include "net/listener.h"
#include "net/loop.h"
#include "pg/pg_source.h"

namespace oasync {
namespace {

constexpr int kExitRuntimeFailure = 1;
constexpr int kExitBadConfiguration = 2;
constexpr std::chrono::milliseconds kTick{100};
constexpr std::chrono::milliseconds kSlowTick{1000};

sigset_t StopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);  // only has the key files read again
  return signals;
}

// One descriptor per connection, and some for everything else. Not more: libwebsockets allocates a table for all.
void RaiseDescriptorLimit(const Config& config) {
  constexpr rlim_t kOthers = 1024;
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, config.max_connections + kOthers);
  setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < config.max_connections + kOthers) {
    spdlog::warn("the descriptor limit {} is too low for --max-connections {} and {} others", limit.rlim_cur,
                 config.max_connections, kOthers);
  }
}

void LogFromLibrary(int, const char* line) {
  std::string_view text(line);
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  spdlog::debug("libwebsockets: {}", text);
}

// One listening socket per loop, all on one port; empty and *error when the address is not to be had.
std::vector<int> OpenSockets(const Config& config, uint16_t* port, std::string* error) {
  const bool shared = config.loops > 1;
  std::vector<int> fds;
  if (shared && *port != 0) {
    // Sharing the port would let two servers be started on it by mistake: this one must be free at first.
    const int probe = OpenListeningSocket(config.listen_host, port, config.listen_backlog, /*shared=*/false, error);
    if (probe < 0) return fds;
    close(probe);
  }
  for (uint32_t i = 0; i < config.loops; ++i) {
    const int fd = OpenListeningSocket(config.listen_host, port, config.listen_backlog, shared, error);
    if (fd < 0) {
      for (const int opened : fds) close(opened);
      return {};
    }
    fds.push_back(fd);
  }
  return fds;
}

PgSourceOptions SourceOptions(const Config& config) {
  PgSourceOptions options;
  options.conninfo = config.database;
  options.journal_readers = config.journal_readers;
  options.document_readers = config.document_readers;
  options.max_queued_reads = config.max_queued_reads;
  options.journal_poll_ms = config.journal_poll_ms;
  options.gap_wait_ms = config.gap_wait_ms;
  options.tail_auto = config.tail_auto;
  options.reconnect_min_ms = config.reconnect_min_ms;
  options.reconnect_max_ms = config.reconnect_max_ms;
  return options;
}

std::vector<MetricsSources::Extra> SourceMetrics(const PgSourceStats& stats) {
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
      {"pg_followed_topics", "Topics the tail follows", true, value(stats.followed_topics)},
      {"pg_held_events", "Live events that wait for a lower watermark", true, value(stats.held_events)},
      {"pg_epoch", "Epoch of the database, 0 before it is known", true, value(stats.epoch)},
  };
}

std::vector<MetricsSources::Extra> CanaryMetrics(const Canary& canary) {
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

// Events come through, as far as can be told.
bool IsReady(const Router& router, const Canary& canary, int64_t silence_us, int64_t within_ms) {
  if (router.tail_mode() == TailMode::kDown) return false;
  const Canary::Progress progress = canary.progress();
  if (progress != Canary::Progress::kUnknown) return progress == Canary::Progress::kGood;
  return silence_us >= 0 && silence_us < within_ms * 1000;
}

AuthenticationOptions AuthOptions(const Config& config) {
  AuthenticationOptions options;
  options.keyring_file = config.keyring_file;
  options.jwks_file = config.jwks_file;
  options.tokens.issuer = config.jwt_issuer;
  options.tokens.audience = config.jwt_audience;
  options.tokens.max_age_s = config.jwt_max_age_s;
  options.tokens.max_token_bytes = config.max_token_bytes;
  options.tokens.max_scopes = config.max_scopes;
  if (!config.jwt_algorithms.empty()) options.tokens.algorithms = {};
  for (const std::string& name : config.jwt_algorithms) options.tokens.algorithms.Add(*FindAlgorithm(name));
  options.token_ttl_s = config.token_ttl_s;
  options.service_keys_file = config.service_keys_file;
  options.identity_keyring_file = config.identity_keyring_file;
  options.identity_jwks_file = config.identity_jwks_file;
  options.identities = options.tokens;
  options.identities.algorithms = AlgorithmSet::All();
  options.identities.issuer = config.identity_issuer;
  options.identities.audience = config.identity_audience;
  options.identities.max_age_s = config.identity_max_age_s;
  options.identity_scopes = config.identity_scopes;
  options.max_revocations = config.max_revocations;
  return options;
}

std::vector<MetricsSources::Extra> RevocationMetrics(const RevocationList& list) {
  return {
      {"revocations", "Revoked sessions, devices and tokens that are remembered", true,
       static_cast<double>(list.size())},
      {"revocations_known", "1 once the database has told what is revoked", true, list.IsKnown() ? 1.0 : 0.0},
      {"revocations_forgotten_total", "Revocations beyond --max-revocations", false,
       static_cast<double>(list.OverflowCount())},
  };
}

int Serve(const Config& config) {
  uint16_t port = config.listen_port;
  std::string error;
  std::vector<int> fds = OpenSockets(config, &port, &error);
  if (fds.empty()) {
    spdlog::error("{}", error);
    return kExitRuntimeFailure;
  }
  const SystemClock clock;
  MetricsSources metrics;
  Authentication auth(AuthOptions(config), clock, metrics.shared);
  if (error = auth.Load(); !error.empty()) {
    std::fprintf(stderr, "oa-sync-fanout: %s\n", error.c_str());
    return kExitBadConfiguration;
  }
  Router router;
  PgSource source(SourceOptions(config), router);
  router.SetSource(&source);
  SystemTopics system_topics(router);
  Canary canary({config.canary_interval_ms, config.ready_within_ms}, source, system_topics, clock);

  metrics.router = &router;
  metrics.settings = &config.settings;
  metrics.extras = [&source, &canary, &auth] {
    std::vector<MetricsSources::Extra> extras = SourceMetrics(source.stats());
    for (auto& extra : CanaryMetrics(canary)) extras.push_back(std::move(extra));
    for (auto& extra : RevocationMetrics(auth.revocations())) extras.push_back(std::move(extra));
    return extras;
  };
  metrics.tail_silence_us = [&source]() -> int64_t {
    const int64_t last = source.stats().last_progress_us.load(std::memory_order_relaxed);
    return last == 0 ? -1 : std::max<int64_t>(0, SystemClock::WallUs() - last);
  };
  const auto ready = [&metrics, &router, &canary, &config] {
    return IsReady(router, canary, metrics.tail_silence_us(), config.ready_within_ms);
  };
  ServerShared shared{config, auth.verifier(), auth.revocations(), clock, source, router, metrics, ready, {}, {}};

  std::vector<std::unique_ptr<Loop>> loops;
  for (const int fd : fds) {
    metrics.loops.push_back(std::make_unique<LoopCounters>());
    loops.push_back(std::make_unique<Loop>(shared, *metrics.loops.back(), fd));
    error = loops.back()->Create();
    if (!error.empty()) {
      spdlog::error("{}", error);
      return kExitRuntimeFailure;
    }
  }
  RevocationFeed revocations(source, system_topics, auth.revocations(), clock,
                             [&loops](const std::vector<Revocation>& revoked) {
                               for (const auto& loop : loops) loop->PostRevocations(revoked);
                             });
  source.Start();
  system_topics.Start();
  std::optional<Ticker> ticker(std::in_place, kTick, [&canary] { canary.Tick(); });
  std::atomic<bool> reread_keys{false};
  std::optional<Ticker> slow_ticker(std::in_place, kSlowTick, [&] {
    auth.Reload(reread_keys.exchange(false));
    revocations.Tick();
  });
  for (const auto& loop : loops) loop->Start();
  spdlog::info("version {}, {} loops, listening on {}:{}", OA_SYNC_VERSION, loops.size(), config.listen_host, port);
  spdlog::info("settings that differ from the defaults: {}", ChangedSettings(config.settings));
  const bool v6 = config.listen_host.find(':') != std::string::npos;
  std::printf("oa-sync-fanout listening on %s%s%s:%u\n", v6 ? "[" : "", config.listen_host.c_str(), v6 ? "]" : "",
              port);
  std::fflush(stdout);

  const sigset_t signals = StopSignals();
  int received = 0;
  while (sigwait(&signals, &received), received == SIGHUP) reread_keys = true;
  spdlog::info("signal {}: closing", received);
  for (const auto& loop : loops) loop->BeginShutdown(config.shutdown_deadline_ms);
  for (const auto& loop : loops) loop->Join();
  ticker.reset();
  slow_ticker.reset();
  source.Stop();
  loops.clear();
  spdlog::info("stopped");
  return 0;
}

int Main(int argc, char** argv) {
  const ConfigResult result = ReadConfig(argc, argv);
  if (!result.config) {
    if (result.exit_code == 0) {
      std::fputs(result.message.c_str(), stdout);
    } else {
      std::fprintf(stderr, "oa-sync-fanout: %s\n", result.message.c_str());
    }
    return result.exit_code;
  }
  const Config& config = *result.config;
  const auto refuse = [](const char* setting, const std::string& reason) {
    std::fprintf(stderr, "oa-sync-fanout: %s: %s\n", setting, reason.c_str());
    return kExitBadConfiguration;
  };
  if (const std::string error = PgSource::CheckConninfo(config.database); !error.empty()) {
    return refuse("--database", error);
  }
  SetUpLogging(config.log_level, config.log_json);
  lws_set_log_level(LLL_ERR | LLL_WARN, &LogFromLibrary);
  // Before the first thread, so that all of them inherit it: signals are taken by sigwait alone.
  const sigset_t signals = StopSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  RaiseDescriptorLimit(config);
  return Serve(config);
}

}  // namespace
}  // namespace oasync

int main(int argc, char** argv) {
  try {
    return oasync::Main(argc, argv);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "oa-sync-fanout: %s\n", failure.what());
    return oasync::kExitRuntimeFailure;
  }
}
