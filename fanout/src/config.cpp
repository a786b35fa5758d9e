#include "config.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <charconv>
#include <thread>

#include "auth/origin.h"

namespace oasync {
namespace {

// "--max-frame-bytes" is OA_SYNC_MAX_FRAME_BYTES in the environment.
std::string EnvironmentName(const std::string& flag) {
  std::string name = "OA_SYNC_";
  for (const char c : flag.substr(2)) {
    name.push_back(c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c))));
  }
  return name;
}

template <typename T>
CLI::Option* Add(CLI::App* app, const char* flag, T& value, const std::string& text, const char* group) {
  return app->add_option(flag, value, text)->capture_default_str()->envname(EnvironmentName(flag))->group(group);
}

template <typename T>
void AddNumber(CLI::App* app, const char* flag, T& value, int64_t low, int64_t high, const std::string& text,
               const char* group) {
  Add(app, flag, value, text, group)->check(CLI::Range(low, high));
}

// "127.0.0.1:4400", "[::1]:4400", ":4400"; empty when it was understood.
std::string SplitListen(const std::string& text, Config* config) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) return "--listen: not HOST:PORT";
  std::string host = text.substr(0, colon);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  const char* first = text.data() + colon + 1;
  const char* last = text.data() + text.size();
  const auto [end, error] = std::from_chars(first, last, config->listen_port);
  if (error != std::errc() || end != last || first == last) return "--listen: no valid port";
  config->listen_host = host.empty() ? "0.0.0.0" : host;
  return {};
}

void AddConnectionSettings(CLI::App* app, Config* config) {
  static constexpr char kGroup[] = "Clients";
  auto& session = config->hub.session;
  AddNumber(app, "--heartbeat-interval-ms", session.heartbeat_interval_ms, 100, 600000,
            "How often a client is told where it stands", kGroup);
  AddNumber(app, "--client-timeout-ms", config->client_timeout_ms, 500, 3600000,
            "A client that sends no frame, or takes no byte of what waits for it, this long is closed", kGroup);
  AddNumber(app, "--handshake-timeout-ms", config->handshake_timeout_ms, 100, 600000,
            "A connection that is no WebSocket by then is closed", kGroup);
  AddNumber(app, "--max-connections", config->max_connections, 1, 10000000, "WebSockets; more get 503", kGroup);
  AddNumber(app, "--max-frame-bytes", config->max_frame_bytes, 256, 16777216, "Largest message taken from a client",
            kGroup);
  AddNumber(app, "--max-topics-per-socket", session.max_topics, 1, 65536, "Topics that one socket may follow", kGroup);
  AddNumber(app, "--max-requests-per-second", session.max_requests_per_second, 1, 1000000,
            "Requests of one socket, twice as many at once; more get rate_limited", kGroup);
  AddNumber(app, "--max-outstanding-requests", session.max_outstanding_requests, 1, 1024,
            "Requests of one socket that wait for the database; more get rate_limited", kGroup);
  AddNumber(app, "--shutdown-deadline-ms", config->shutdown_deadline_ms, 0, 600000,
            "How long closing every socket may take at the end", kGroup);
}

void AddDeliverySettings(CLI::App* app, Config* config) {
  static constexpr char kGroup[] = "Delivery";
  auto& hub = config->hub;
  AddNumber(app, "--max-batch-events", hub.batch.max_events, 1, 10000, "Updates in one batch", kGroup);
  AddNumber(app, "--max-update-bytes", hub.batch.max_update_bytes, 1024, 67108864,
            "A larger update goes out without its payload, hydration_required", kGroup);
  AddNumber(app, "--max-batch-bytes", hub.batch.max_batch_bytes, 8192, 268435456, "Bytes of one batch", kGroup);
  AddNumber(app, "--window-events", hub.window_events, 1, 1000000, "Newest events of a topic kept in memory", kGroup);
  AddNumber(app, "--window-bytes", hub.window_bytes, 4096, int64_t{1} << 34, "Bytes of them", kGroup);
  AddNumber(app, "--loop-queue-events", config->loop_queue.max_events, 1, 100000000,
            "Live events that wait for one event loop; more are left to the journal", kGroup);
  AddNumber(app, "--loop-queue-bytes", config->loop_queue.max_bytes, 65536, int64_t{1} << 40, "Bytes of them", kGroup);
  AddNumber(app, "--replay-page-events", hub.replay_page_events, 1, 100000, "Events in one read of the journal",
            kGroup);
}

void AddTokenSettings(CLI::App* app, Config* config) {
  static constexpr char kGroup[] = "Tokens and origins";
  auto& session = config->hub.session;
  Add(app, "--jwt-keyring", config->keyring_file,
      R"(File with {"current":"k1","keys":{"k1":"<base64url secret>"}} (HS256). Required)", kGroup);
  Add(app, "--jwt-issuer", config->jwt_issuer, "Expected iss", kGroup);
  Add(app, "--jwt-audience", config->jwt_audience, "Expected aud", kGroup);
  AddNumber(app, "--jwt-max-age-s", config->jwt_max_age_s, 1, 31536000, "Oldest token, counted from iat", kGroup);
  AddNumber(app, "--token-grace-ms", session.token_grace_ms, 0, 3600000, "How long a socket outlives its token",
            kGroup);
  AddNumber(app, "--token-warning-ms", session.token_warning_ms, 0, 3600000,
            "How long before its token expires a client is told", kGroup);
  app->add_option("--allowed-origin", config->allowed_origins,
                  "Origin of web pages that may connect; repeatable. Clients without an Origin always may")
      ->envname("OA_SYNC_ALLOWED_ORIGIN")
      ->delimiter(',')
      ->group(kGroup);
}

void AddDatabaseSettings(CLI::App* app, Config* config, std::string* tail) {
  static constexpr char kGroup[] = "Database";
  app->add_option("--database", config->database, "libpq connection string or URI. Required")
      ->envname("OA_SYNC_DATABASE")
      ->group(kGroup);
  AddNumber(app, "--journal-readers", config->journal_readers, 1, 64, "Connections that read the journal", kGroup);
  AddNumber(app, "--document-readers", config->document_readers, 1, 64,
            "Connections that read snapshots and documents, made when they are first needed", kGroup);
  AddNumber(app, "--max-queued-reads", config->max_queued_reads, 1, 10000000,
            "Reads that may wait for a connection, in the journal and among documents each; more fail", kGroup);
  AddNumber(app, "--journal-poll-ms", config->journal_poll_ms, 1, 60000,
            "How often the journal is asked while there is no replication slot", kGroup);
  AddNumber(app, "--gap-wait-ms", config->gap_wait_ms, 0, 60000,
            "How long a missing live event is waited for before the journal is asked", kGroup);
  Add(app, "--tail", *tail, "auto: a temporary logical slot, the journal while there is none; journal: never a slot",
      kGroup)
      ->check(CLI::IsMember({"auto", "journal"}));
  AddNumber(app, "--max-slot-wal-bytes", config->max_slot_wal_bytes, 0, int64_t{1} << 50,
            "A slot that keeps the server from removing more WAL is given up for a new one; 0: never", kGroup);
  AddNumber(app, "--canary-interval-ms", config->canary_interval_ms, 0, 3600000,
            "An event of our own is sent when none came this long, to see that they come through; 0: never", kGroup);
  AddNumber(app, "--ready-within-ms", config->ready_within_ms, 1000, 3600000,
            "/readyz is 503 when the last of them, or other sign of the tail's progress, is older", kGroup);
  AddNumber(app, "--reconnect-min-ms", config->reconnect_min_ms, 1, 600000, "First pause before connecting again",
            kGroup);
  AddNumber(app, "--reconnect-max-ms", config->reconnect_max_ms, 1, 600000, "Longest pause before connecting again",
            kGroup);
}

// What no single option can check; empty when all is well.
std::string CheckTogether(const Config& config) {
  if (config.database.empty()) return "--database is required";
  if (config.keyring_file.empty()) return "--jwt-keyring is required";
  if (config.reconnect_min_ms > config.reconnect_max_ms) return "--reconnect-min-ms is above --reconnect-max-ms";
  if (config.ready_within_ms <= config.canary_interval_ms) {
    return "--ready-within-ms must be above --canary-interval-ms";
  }
  const BatchLimits& batch = config.hub.batch;
  // Room for one update without its payload, and for the batch around it.
  constexpr uint64_t kAround = 4096;
  if (batch.max_batch_bytes < batch.max_update_bytes + kAround) {
    return "--max-batch-bytes must be at least --max-update-bytes + 4096";
  }
  return {};
}

// One line for an error of the command line. It holds no argument's value: that may be a password.
std::string Describe(const CLI::App& app, const CLI::ParseError& error) {
  if (dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    std::string names;
    for (const std::string& argument : app.remaining()) {
      if (argument.rfind('-', 0) == 0) names += " " + argument.substr(0, argument.find('='));
    }
    return names.empty() ? "an argument that belongs to no setting" : "no such setting:" + names;
  }
  std::string text = error.what();
  if (dynamic_cast<const CLI::ValidationError*>(&error) == nullptr &&
      dynamic_cast<const CLI::ConversionError*>(&error) == nullptr) {
    return text;
  }
  const size_t start = text.find("--");
  if (start == std::string::npos) return "a value is not valid; see --help";
  const std::string name = text.substr(start, text.find_first_of(" :=", start) - start);
  const CLI::Option* option = app.get_option_no_throw(name);
  return name + ": not a valid value" + (option == nullptr ? "" : ", expected " + option->get_type_name());
}

}  // namespace

ConfigResult ReadConfig(int argc, const char* const* argv) {
  Config config;
  config.loops = std::max(1u, std::thread::hardware_concurrency());
  config.hub.session.max_topics = 256;
  std::string listen = "127.0.0.1:4400";
  std::string tail = "auto";
  std::string log_format = "text";

  CLI::App app{"OA Sync fan-out: follows the journal of a PostgreSQL database and streams topics to WebSocket clients.",
               "oa-sync-fanout"};
  app.set_version_flag("--version", std::string("oa-sync-fanout ") + OA_SYNC_VERSION);
  app.set_config("--config", "", "File with settings, one `name = value` a line")->envname("OA_SYNC_CONFIG");
  app.allow_config_extras(CLI::config_extras_mode::error);  // a misspelt setting must not go unnoticed
  app.footer(
      "Every setting can also be given in the environment as OA_SYNC_<NAME>, or in the file of --config.\n"
      "The command line goes before the file, and the file before the environment.");
  Add(&app, "--listen", listen, "HOST:PORT to listen on; port 0 takes any free one", "Server");
  AddNumber(&app, "--loops", config.loops, 1, 1024, "Event loops (threads); default: one per core", "Server");
  Add(&app, "--log-level", config.log_level, "What to log", "Server")
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error", "off"}));
  Add(&app, "--log-format", log_format, "How to log, to stderr", "Server")->check(CLI::IsMember({"text", "json"}));
  AddDatabaseSettings(&app, &config, &tail);
  AddTokenSettings(&app, &config);
  AddConnectionSettings(&app, &config);
  AddDeliverySettings(&app, &config);

  ConfigResult result;
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
      result.message = error.get_name() == "CallForVersion" ? std::string(error.what()) + "\n" : app.help();
      return result;
    }
    result.exit_code = 2;
    result.message = Describe(app, error);
    std::replace(result.message.begin(), result.message.end(), '\n', ' ');
    return result;
  }
  result.message = SplitListen(listen, &config);
  if (result.message.empty()) result.message = CheckTogether(config);
  if (!result.message.empty()) {
    result.exit_code = 2;
    return result;
  }
  config.tail_auto = tail == "auto";
  config.log_json = log_format == "json";
  for (auto& origin : config.allowed_origins) origin = NormalizeOrigin(origin);
  result.config = std::move(config);
  return result;
}

}  // namespace oasync
