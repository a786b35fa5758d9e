#include "server.h"

#include <pthread.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "admin/access.h"
#include "admin/database_metrics.h"
#include "admin/overview.h"
#include "admin/parity_watch.h"
#include "admin/routes.h"
#include "admin/views.h"
#include "auth/authentication.h"
#include "base/log.h"
#include "base/process_use.h"
#include "base/service_manager.h"
#include "base/ticker.h"
#include "base/worker_thread.h"
#include "housekeeping.h"
#include "hub/canary.h"
#include "hub/revocation_feed.h"
#include "hub/system_topics.h"
#include "net/api_routes.h"
#include "net/console_files.h"
#include "net/document_endpoints.h"
#include "net/health.h"
#include "net/listener.h"
#include "net/loop.h"
#include "net/tls.h"
#include "pg/pg_source.h"
#include "source_metrics.h"

namespace oasync {
namespace {

constexpr std::chrono::milliseconds kTick{100};
// What stopping may take beside closing the sockets: reads of the database that are under way.
constexpr int64_t kStopMarginMs = 10'000;

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

std::vector<MetricsSources::ParityLane> ParityMetrics(const ParityWatch& watch) {
  std::vector<MetricsSources::ParityLane> lanes;
  for (const ParityLaneFacts& facts : watch.Lanes()) {
    MetricsSources::ParityLane& lane = lanes.emplace_back();
    lane.name = facts.name;
    lane.audit_age_s = facts.audit_age_s;
    for (size_t i = 0; i < kParityReasons.size(); ++i) lane.checks.emplace_back(kParityReasons[i], facts.totals[i]);
  }
  return lanes;
}

std::vector<MetricsSources::Extra> ProcessMetrics(const ProcessUse& use) {
  return {
      {"open_descriptors", "File descriptors that the process has open", true,
       static_cast<double>(use.open_descriptors)},
      {"descriptor_limit", "File descriptors that it may have open", true, static_cast<double>(use.descriptor_limit)},
      {"resident_bytes", "Memory of the process", true, static_cast<double>(use.resident_bytes)},
  };
}

// Everything that lives as long as the server serves, in the order in which one needs the other.
class Server {
 public:
  Server(const Config& config, const ServiceManager& service_manager);

  // Reads keys and the certificate. Empty, or one line that begins with the setting.
  std::string Load();
  std::string LoadConsole();
  // Opens the listening sockets and makes the loops. Empty, or what failed.
  std::string Listen();
  void Start();
  // Until a signal; then closes everything.
  void Run();

 private:
  void Announce() const;

  const Config& config_;
  const ServiceManager& service_manager_;
  const SystemClock clock_;
  MetricsSources metrics_;
  Authentication auth_;
  Router router_;
  PgSource source_;
  ParityWatch parity_;
  ProcessWatch process_;
  SystemTopics system_topics_;
  Canary canary_;
  PageCache pages_;
  Admission admission_;
  ClientLimits limits_;
  WorkerThread worker_;
  const DocumentEndpoints documents_;
  const RevokeEndpoint revoke_endpoint_;
  HttpRouter http_;
  ServerShared shared_;
  const AdminAccess admin_access_;
  std::optional<Overview> overview_;
  std::optional<DatabaseMetrics> database_metrics_;
  Deadlines deadlines_;
  const AdminViews views_;
  std::vector<std::unique_ptr<Loop>> loops_;
  RevocationFeed revocations_;
  std::optional<Ticker> ticker_;
  uint16_t port_;
  uint16_t admin_port_;
};

Server::Server(const Config& config, const ServiceManager& service_manager)
    : config_(config),
      service_manager_(service_manager),
      auth_(AuthOptions(config), clock_, metrics_.shared),
      source_(SourceOptions(config), router_),
      parity_(source_, clock_),
      process_(clock_),
      system_topics_(router_),
      canary_({config.canary_interval_ms, config.ready_within_ms}, source_, system_topics_, clock_),
      pages_(config.hub.PageOptions(), source_),
      admission_(config.hub.admission, clock_.SteadyMs()),
      limits_(config.clients),
      documents_({source_, source_, auth_.verifier(), clock_, metrics_.shared, worker_,
                  config.refuse_without_revocations ? &auth_.revocations() : nullptr},
                 config.documents),
      revoke_endpoint_(auth_.endpoint_environment(), source_),
      http_({config.allowed_origins, &limits_}),
      shared_{config,
              auth_.verifier(),
              auth_.revocations(),
              clock_,
              source_,
              pages_,
              admission_,
              router_,
              metrics_,
              http_,
              limits_,
              {},
              {},
              {},
              {},
              {},
              {}},
      admin_access_(auth_.endpoint_environment()),
      views_({source_,
              {[this](const auto& task) {
                 for (size_t i = 0; i < loops_.size(); ++i) loops_[i]->Post([task, i](Hub& hub) { task(hub, i); });
                 return loops_.size();
               },
               deadlines_, clock_},
              worker_},
             {}),
      revocations_(source_, system_topics_, auth_.revocations(), clock_,
                   [this](const std::vector<Revocation>& revoked) {
                     for (const auto& loop : loops_) loop->PostRevocations(revoked);
                   }),
      port_(config.listen_port),
      admin_port_(config.admin_port) {
  router_.SetSource(&source_);
  metrics_.router = &router_;
  metrics_.pages = &pages_;
  metrics_.admission = &admission_;
  metrics_.settings = &config_.settings;
  metrics_.extras = [this] {
    std::vector<MetricsSources::Extra> extras = SourceMetrics(source_.stats(), canary_, router_);
    for (auto& extra : RevocationMetrics(auth_.revocations())) extras.push_back(std::move(extra));
    for (auto& extra : database_metrics_->Read()) extras.push_back(std::move(extra));
    for (auto& extra : ProcessMetrics(process_.Read())) extras.push_back(std::move(extra));
    return extras;
  };
  metrics_.parity = [this] { return ParityMetrics(parity_); };
  metrics_.tail_silence_us = [this]() -> int64_t {
    const int64_t last = source_.stats().last_progress_us.load(std::memory_order_relaxed);
    return last == 0 ? -1 : std::max<int64_t>(0, SystemClock::WallUs() - last);
  };
  const auto readiness = [this] {
    return ReadinessOf(router_, canary_, metrics_.tail_silence_us(), config_.ready_within_ms);
  };
  AddHealthRoutes({metrics_, clock_, readiness, config.loop_stall_ms, config.public_metrics}, &http_);
  documents_.AddTo(&http_);
  AddAuthRoutes(auth_.token_endpoint(), revoke_endpoint_, &http_);
  AddSocketRoutes(&http_);
  overview_.emplace(
      OverviewEnvironment{shared_, OA_SYNC_VERSION, [this] { return HostPort(config_.listen_host, port_); },
                          clock_.WallMs(), [this] { return TailFactsOf(source_.stats()); }, readiness,
                          [this] { return canary_.age_ms(); }, [this] { return parity_.Lanes(); }},
      source_);
  database_metrics_.emplace(overview_->glance(), clock_, config.statistics_interval_ms);
  AddAdminRoutes({admin_access_, *overview_, views_}, &http_);
}

std::string Server::LoadConsole() {
  if (config_.console == "off" || config_.console_dir.empty()) return {};
  std::string error;
  ConsoleLimits limits;
  limits.max_bytes = config_.console_max_bytes;
  auto read = ConsoleFiles::Read(config_.console_dir, limits, &error);
  if (!read) return "--console-dir: " + error;
  LogInfo("server.console", "the console is served from {directory}: {files} files, {bytes} bytes",
          {{"directory", config_.console_dir}, {"files", read->size()}, {"bytes", read->bytes()}});
  http_.SetFallback([console = std::make_shared<const ConsoleFiles>(std::move(*read)),
                     is_public = config_.console == "both"](const HttpRequest& request) {
    return is_public || request.is_admin ? console->Answer(request) : std::nullopt;
  });
  return {};
}

std::string Server::Load() {
  if (std::string error = auth_.Load(); !error.empty()) return error;
  if (std::string error = LoadConsole(); !error.empty()) return error;
  if (config_.tls_certificate.empty()) return {};
  std::string error;
  shared_.tls = LoadTlsIdentity(config_.tls_certificate, config_.tls_key, &error);
  if (!shared_.tls) return "--tls-cert: " + error;
  metrics_.tls_expires_s = ExpiryOf(*shared_.tls);
  return {};
}

std::string Server::Listen() {
  std::string error;
  const std::vector<int> fds = OpenSockets(config_, &port_, &error);
  if (fds.empty()) return error;
  int admin_fd = -1;
  if (config_.admin_listens) {
    admin_fd = OpenListeningSocket(config_.admin_host, &admin_port_, config_.listen_backlog, /*shared=*/false, &error);
    if (admin_fd < 0) return "--admin-listen: " + error;
  }
  for (const int fd : fds) {
    metrics_.loops.push_back(std::make_unique<LoopCounters>());
    loops_.push_back(std::make_unique<Loop>(shared_, *metrics_.loops.back(), fd, std::exchange(admin_fd, -1)));
    if (error = loops_.back()->Create(); !error.empty()) return error;
  }
  return {};
}

void Server::Start() {
  source_.Start();
  system_topics_.Start();
  process_.Tick();  // so that the first scrape finds something
  ticker_.emplace(kTick, [this] {
    canary_.Tick();
    overview_->Tick();
    parity_.Tick();
    database_metrics_->Tick();
    process_.Tick();
    deadlines_.Tick(clock_.SteadyMs());
  });
  for (const auto& loop : loops_) loop->Start();
  Announce();
}

void Server::Announce() const {
  LogInfo("server.started", "version {version}, {loops} loops, listening on {address}, TLS {tls}",
          {{"version", OA_SYNC_VERSION},
           {"loops", loops_.size()},
           {"address", HostPort(config_.listen_host, port_)},
           {"tls", shared_.tls ? "on" : "off"}});
  LogInfo("server.settings", "settings that differ from the defaults: {settings}",
          {{"settings", ChangedSettings(config_.settings)}});
  if (config_.admin_listens) {
    std::printf("oa-sync-fanout admin on %s\n", HostPort(config_.admin_host, admin_port_).c_str());
  }
  std::printf("oa-sync-fanout listening on %s\n", HostPort(config_.listen_host, port_).c_str());
  std::fflush(stdout);
  service_manager_.Ready("listening on " + HostPort(config_.listen_host, port_));
}

void Server::Run() {
  const int received = Housekeeping(config_, shared_, auth_, revocations_, loops_, service_manager_).Run();
  LogInfo("server.closing", "signal {signal}: closing", {{"signal", received}});
  service_manager_.Stopping(config_.shutdown_spread_ms + config_.shutdown_deadline_ms + kStopMarginMs);
  for (const auto& loop : loops_) loop->BeginShutdown(config_.shutdown_spread_ms, config_.shutdown_deadline_ms);
  // A second signal ends the process at once.
  for (const int signal : {SIGTERM, SIGINT}) std::signal(signal, [](int) { _exit(0); });
  // SIGHUP stays blocked: systemd may send it with SIGTERM, and it would end what is to end gracefully.
  sigset_t signals = HandledSignals();
  sigdelset(&signals, SIGHUP);
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  for (const auto& loop : loops_) loop->Join();
  ticker_.reset();
  source_.Stop();
  worker_.Stop();
  loops_.clear();
  LogInfo("server.stopped", "stopped");
}

}  // namespace

int Serve(const Config& config, const ServiceManager& service_manager) {
  Server server(config, service_manager);
  if (const std::string error = server.Load(); !error.empty()) {
    std::fprintf(stderr, "oa-sync-fanout: %s\n", error.c_str());
    return kExitBadConfiguration;
  }
  if (const std::string error = server.Listen(); !error.empty()) {
    LogError("server.cannot_start", "{error}", {{"error", error}});
    return kExitRuntimeFailure;
  }
  server.Start();
  server.Run();
  return 0;
}

}  // namespace oasync
