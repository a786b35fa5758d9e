// oa-sync-fanout: reads its settings, brings the parts together, and waits for the signal to stop.
#include <libwebsockets.h>
#include <malloc.h>
#include <pthread.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/file_watch.h"
#include "base/log.h"
#include "base/ticker.h"
#include "base/worker_thread.h"
#include "config.h"
#include "hub/canary.h"
#include "hub/system_topics.h"
#include "net/document_endpoints.h"
#include "net/health.h"
#include "net/listener.h"
#include "net/loop.h"
#include "net/tls.h"
#include "pg/pg_source.h"
#include "source_metrics.h"

namespace oasync {
namespace {

constexpr int kExitRuntimeFailure = 1;
constexpr int kExitBadConfiguration = 2;
constexpr std::chrono::milliseconds kTick{100};

// Those that main waits for: two to stop, SIGHUP to read the certificate again.
sigset_t Signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);
  return signals;
}

// One descriptor per connection, and some for everything else. Not more: libwebsockets allocates a table for all.
void RaiseDescriptorLimit(const Config& config) {
  constexpr rlim_t kOthers = 256;
  const rlim_t wanted = rlim_t{config.max_connections} + config.max_handshakes + kOthers;
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, wanted);
  setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < wanted) {
    spdlog::warn("the descriptor limit {} is too low for --max-connections {}, --max-handshakes {} and {} others",
                 limit.rlim_cur, config.max_connections, config.max_handshakes, kOthers);
  }
}

// A turn of the tail or of a loop takes and gives back some megabytes of events and frames. By default glibc returns
// them to the kernel at once and asks for them again, page by page, in the next turn. Here it keeps some.
void KeepFreedMemory() {
  mallopt(M_MMAP_THRESHOLD, 4 << 20);
  mallopt(M_TRIM_THRESHOLD, 16 << 20);
  mallopt(M_TOP_PAD, 1 << 20);
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
  options.max_slot_wal_bytes = config.max_slot_wal_bytes;
  options.journal_poll_ms = config.journal_poll_ms;
  options.gap_wait_ms = config.gap_wait_ms;
  options.tail_auto = config.tail_auto;
  options.reconnect_min_ms = config.reconnect_min_ms;
  options.reconnect_max_ms = config.reconnect_max_ms;
  return options;
}

// Whether events come through, as far as can be told, and if not, why.
Readiness ReadinessOf(const Router& router, const Canary& canary, int64_t silence_us, int64_t within_ms) {
  if (router.tail_mode() == TailMode::kDown) return {false, "tail_down"};
  const Canary::Progress progress = canary.progress();
  if (progress == Canary::Progress::kGood) return {true, {}};
  if (progress != Canary::Progress::kUnknown) return {false, "canary_late"};
  if (silence_us < 0 || silence_us >= within_ms * 1000) return {false, "tail_silent"};
  return {true, {}};
}

// The URL-like form of an address, for the lines on stdout.
std::string HostPort(const std::string& host, uint16_t port) {
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

uint64_t ResidentMb() {
  std::ifstream statm("/proc/self/statm");
  uint64_t size_pages = 0;
  uint64_t resident_pages = 0;
  statm >> size_pages >> resident_pages;
  return resident_pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE)) / (1024 * 1024);
}

// Waits for the signal to stop; meanwhile looks after what is not the loops' to do: the certificate, once a second, and
// the process's memory.
class Housekeeping {
 public:
  Housekeeping(const Config& config, ServerShared& shared, const std::vector<std::unique_ptr<Loop>>& loops)
      : config_(config), shared_(shared), loops_(loops), certificate_(config.tls_certificate), key_(config.tls_key) {}

  // The signal that ends it.
  int Run() {
    const sigset_t signals = Signals();
    while (true) {
      const timespec pause{1, 0};
      const int received = sigtimedwait(&signals, nullptr, &pause);
      if (received == SIGTERM || received == SIGINT) return received;
      CheckMemory();
      const bool changed = certificate_.Changed() | key_.Changed();
      if (shared_.tls && (changed || received == SIGHUP)) ReloadTls();
    }
  }

 private:
  void ReloadTls() {
    std::string error;
    const TlsIdentityRef identity = LoadTlsIdentity(config_.tls_certificate, config_.tls_key, &error);
    shared_.metrics.shared.tls_reloads.Add(identity ? "ok" : "failed");
    if (!identity) {
      // Maybe only one of the files is there yet: the change of the other one brings us here again.
      spdlog::error("the certificate is kept as it was: {}", error);
      return;
    }
    for (const auto& loop : loops_) loop->SetTls(identity);
    shared_.metrics.tls_expires_s.store(ExpiryOf(*identity));
    spdlog::info("new certificate in use");
  }

  void CheckMemory() {
    if (config_.memory_limit_mb == 0) return;
    const bool pressure = ResidentMb() >= config_.memory_limit_mb;
    if (shared_.memory_pressure.exchange(pressure) == pressure) return;
    spdlog::warn(pressure ? "over --memory-limit-mb: new WebSockets are refused" : "below --memory-limit-mb again");
  }

  const Config& config_;
  ServerShared& shared_;
  const std::vector<std::unique_ptr<Loop>>& loops_;
  FileWatch certificate_;
  FileWatch key_;
};

// Everything that HTTP serves.
void AddRoutes(const HealthEnvironment& health, const DocumentEndpoints& documents, HttpRouter* router) {
  AddHealthRoutes(health, router);
  documents.AddTo(router);
  for (const char* path : {"/socket/websocket", "/sync/socket/websocket"}) {
    HttpRoute route;
    route.pattern = path;
    route.name = "socket";
    route.exposure = Exposure::kPublic;
    route.is_api = false;
    route.handler = [](const HttpRequest&, const PathArguments&, const HttpReply& reply) {
      HttpAnswer answer = HttpError(426, "upgrade_required", "this is a WebSocket endpoint");
      answer.AddHeader("upgrade", "websocket");
      reply(std::move(answer));
    };
    router->Add(std::move(route));
  }
}

int Serve(const Config& config, Keyring keyring, TlsIdentityRef tls) {
  uint16_t port = config.listen_port;
  uint16_t admin_port = config.admin_port;
  std::string error;
  std::vector<int> fds = OpenSockets(config, &port, &error);
  int admin_fd = -1;
  if (!fds.empty() && config.admin_listens) {
    admin_fd = OpenListeningSocket(config.admin_host, &admin_port, config.listen_backlog, /*shared=*/false, &error);
    if (admin_fd < 0) error = "--admin-listen: " + error;
  }
  if (!error.empty()) {
    spdlog::error("{}", error);
    return kExitRuntimeFailure;
  }
  const SystemClock clock;
  const TokenVerifier verifier(keyring, {config.jwt_issuer, config.jwt_audience, config.jwt_max_age_s,
                                         config.max_token_bytes, config.max_scopes});
  Router router;
  PgSource source(SourceOptions(config), router);
  router.SetSource(&source);
  SystemTopics system_topics(router);
  Canary canary({config.canary_interval_ms, config.ready_within_ms}, source, system_topics, clock);
  PageCache pages(config.hub.PageOptions(), source);
  Admission admission(config.hub.admission, clock.SteadyMs());

  MetricsSources metrics;
  metrics.router = &router;
  metrics.pages = &pages;
  metrics.admission = &admission;
  metrics.settings = &config.settings;
  metrics.extras = [&source, &canary, &router] { return SourceMetrics(source.stats(), canary, router); };
  metrics.tail_silence_us = [&source]() -> int64_t {
    const int64_t last = source.stats().last_progress_us.load(std::memory_order_relaxed);
    return last == 0 ? -1 : std::max<int64_t>(0, SystemClock::WallUs() - last);
  };
  const auto readiness = [&metrics, &router, &canary, &config] {
    return ReadinessOf(router, canary, metrics.tail_silence_us(), config.ready_within_ms);
  };
  metrics.tls_expires_s = tls ? ExpiryOf(*tls) : 0;
  ClientLimits limits(config.clients);
  WorkerThread worker;
  HttpRouter http({config.allowed_origins, &limits});
  const DocumentEndpoints documents({&source, source, verifier, clock, metrics.shared, worker}, config.documents);
  AddRoutes({metrics, clock, readiness, config.loop_stall_ms, config.public_metrics}, documents, &http);
  ServerShared shared{config, verifier, clock,          source, pages, admission, router, metrics,
                      http,   limits,   std::move(tls), {},     {},    {},        {}};

  std::vector<std::unique_ptr<Loop>> loops;
  for (const int fd : fds) {
    metrics.loops.push_back(std::make_unique<LoopCounters>());
    loops.push_back(std::make_unique<Loop>(shared, *metrics.loops.back(), fd, std::exchange(admin_fd, -1)));
    error = loops.back()->Create();
    if (!error.empty()) {
      spdlog::error("{}", error);
      return kExitRuntimeFailure;
    }
  }
  source.Start();
  system_topics.Start();
  std::optional<Ticker> ticker(std::in_place, kTick, [&canary] { canary.Tick(); });
  for (const auto& loop : loops) loop->Start();
  spdlog::info("version {}, {} loops, listening on {}{}", OA_SYNC_VERSION, loops.size(),
               HostPort(config.listen_host, port), shared.tls ? ", TLS" : "");
  spdlog::info("settings that differ from the defaults: {}", ChangedSettings(config.settings));
  if (config.admin_listens) {
    std::printf("oa-sync-fanout admin on %s\n", HostPort(config.admin_host, admin_port).c_str());
  }
  std::printf("oa-sync-fanout listening on %s\n", HostPort(config.listen_host, port).c_str());
  std::fflush(stdout);

  const int received = Housekeeping(config, shared, loops).Run();
  spdlog::info("signal {}: closing", received);
  for (const auto& loop : loops) loop->BeginShutdown(config.shutdown_spread_ms, config.shutdown_deadline_ms);
  // A second signal ends the process at once.
  for (const int signal : {SIGTERM, SIGINT}) std::signal(signal, [](int) { _exit(0); });
  const sigset_t signals = Signals();
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  for (const auto& loop : loops) loop->Join();
  ticker.reset();
  source.Stop();
  worker.Stop();
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
  std::string error;
  auto keyring = Keyring::Load(config.keyring_file, &error);
  if (!keyring) return refuse("--jwt-keyring", error);
  TlsIdentityRef tls;
  if (!config.tls_certificate.empty()) {
    tls = LoadTlsIdentity(config.tls_certificate, config.tls_key, &error);
    if (!tls) return refuse("--tls-cert", error);
  }

  KeepFreedMemory();
  SetUpLogging(config.log_level, config.log_json);
  lws_set_log_level(LLL_ERR | LLL_WARN, &LogFromLibrary);
  // Before the first thread, so that all of them inherit it: signals are taken by sigwait alone.
  const sigset_t signals = Signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  RaiseDescriptorLimit(config);
  return Serve(config, std::move(*keyring), std::move(tls));
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
