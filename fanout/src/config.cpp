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
std::string SplitListen(const std::string& flag, const std::string& text, std::string* host, uint16_t* port) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) return flag + ": not HOST:PORT";
  std::string name = text.substr(0, colon);
  if (name.size() >= 2 && name.front() == '[' && name.back() == ']') name = name.substr(1, name.size() - 2);
  const char* first = text.data() + colon + 1;
  const char* last = text.data() + text.size();
  const auto [end, error] = std::from_chars(first, last, *port);
  if (error != std::errc() || end != last || first == last) return flag + ": no valid port";
  *host = name.empty() ? "0.0.0.0" : name;
  return {};
}

// What is a string on the command line and something else in the program.
struct Texts {
  std::string listen = "127.0.0.1:4400";
  std::string admin_listen = "127.0.0.1:4401";
  std::vector<std::string> trusted_proxies;
  std::string tail = "auto";
  std::string log_format = "text";
};

// Empty when all were understood.
std::string Understand(const Texts& texts, Config* config) {
  std::string error = SplitListen("--listen", texts.listen, &config->listen_host, &config->listen_port);
  if (!error.empty()) return error;
  config->admin_listens = texts.admin_listen != "off";
  if (config->admin_listens) {
    error = SplitListen("--admin-listen", texts.admin_listen, &config->admin_host, &config->admin_port);
    if (!error.empty()) return error;
  }
  for (const std::string& network : texts.trusted_proxies) {
    if (!config->trusted_proxies.Add(network)) return "--trusted-proxy: not an address or network";
  }
  config->tail_auto = texts.tail == "auto";
  config->log_json = texts.log_format == "json";
  for (auto& origin : config->allowed_origins) origin = NormalizeOrigin(origin);
  return {};
}

void AddServerSettings(CLI::App* app, Config* config, Texts* texts) {
  static constexpr char kGroup[] = "Server";
  Add(app, "--listen", texts->listen, "HOST:PORT to listen on; port 0 takes any free one", kGroup);
  Add(app, "--admin-listen", texts->admin_listen,
      "HOST:PORT of metrics, readiness in detail and revocation; port 0 takes any free one, off: none", kGroup);
  AddNumber(app, "--loops", config->loops, 1, 1024, "Event loops (threads); default: one per core", kGroup);
  AddNumber(app, "--loop-stall-ms", config->loop_stall_ms, 1000, 3600000,
            "/healthz is 503 when a loop has not turned for so long", kGroup);
  AddNumber(app, "--memory-limit-mb", config->memory_limit_mb, 0, 1 << 30,
            "New WebSockets are refused while the process is larger; 0: no limit", kGroup);
  Add(app, "--log-level", config->log_level, "What to log", kGroup)
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error", "off"}));
  Add(app, "--log-format", texts->log_format, "How to log, to stderr", kGroup)->check(CLI::IsMember({"text", "json"}));
}

void AddTlsSettings(CLI::App* app, Config* config) {
  static constexpr char kGroup[] = "TLS";
  Add(app, "--tls-cert", config->tls_certificate,
      "File with the certificate and its chain (PEM): TLS on both listeners. Read again when it changes", kGroup);
  Add(app, "--tls-key", config->tls_key, "File with its private key (PEM)", kGroup);
  Add(app, "--admin-client-ca", config->admin_client_ca,
      "File with the authorities (PEM) of the certificates that clients of the admin listener must show", kGroup);
}

void AddHttpSettings(CLI::App* app, Config* config) {
  static constexpr char kGroup[] = "HTTP";
  DocumentLimits& documents = config->documents;
  AddNumber(app, "--http-timeout-ms", config->http_timeout_ms, 100, 3600000,
            "From a whole request to the last byte of its answer", kGroup);
  AddNumber(app, "--http-max-body-bytes", config->http_max_body_bytes, 0, 16777216, "Largest body of a request",
            kGroup);
  AddNumber(app, "--http-max-answers", documents.max_answers, 1, 65536,
            "Snapshots, documents and heads under way; more get 503", kGroup);
  AddNumber(app, "--http-requests-per-second", config->clients.requests_per_second, 0, 1000000,
            "Requests of one address, twice as many at once; more get 429; 0: no limit", kGroup);
  AddNumber(app, "--http-gzip-min-bytes", documents.gzip_min_bytes, 0, int64_t{1} << 32,
            "Smaller answers are not compressed", kGroup);
  AddNumber(app, "--snapshot-max-documents", documents.max_documents, 1, 100000, "Documents in one page", kGroup);
  AddNumber(app, "--snapshot-max-bytes", documents.max_bytes, 1024, 268435456, "Bytes of one page, about", kGroup);
  app->add_flag("--public-metrics", config->public_metrics, "Serve /metrics on the public listener too")
      ->envname("OA_SYNC_PUBLIC_METRICS")
      ->group(kGroup);
}

void AddConnectionSettings(CLI::App* app, Config* config) {
  static constexpr char kGroup[] = "Clients";
  auto& session = config->hub.session;
  AddNumber(app, "--heartbeat-interval-ms", session.heartbeat_interval_ms, 100, 600000,
            "How often a client is told where it stands", kGroup);
  AddNumber(app, "--client-timeout-ms", config->client_timeout_ms, 500, 3600000,
            "A client that sends no frame, or takes no byte of what waits for it, this long is closed", kGroup);
  AddNumber(app, "--handshake-timeout-ms", config->handshake_timeout_ms, 100, 600000,
            "A connection whose request is not whole by then is closed", kGroup);
  AddNumber(app, "--max-connections", config->max_connections, 1, 10000000, "WebSockets; more get 503", kGroup);
  AddNumber(app, "--max-handshakes", config->max_handshakes, 1, 1000000,
            "Connections that are no WebSockets (yet); more are closed at once", kGroup);
  AddNumber(app, "--max-connections-per-address", config->clients.connections_per_address, 0, 10000000,
            "Connections of one IPv4 address or IPv6 /64; 0: no limit", kGroup);
  AddNumber(app, "--max-connections-per-subject", config->clients.connections_per_subject, 0, 10000000,
            "WebSockets of one sub; 0: no limit", kGroup);
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
  AddNumber(app, "--reconnect-min-ms", config->reconnect_min_ms, 1, 600000, "First pause before connecting again",
            kGroup);
  AddNumber(app, "--reconnect-max-ms", config->reconnect_max_ms, 1, 600000, "Longest pause before connecting again",
            kGroup);
}

// What no single option can check; empty when all is well.
std::string CheckTogether(const Config& config) {
  if (config.database.empty()) return "--database is required";
  if (config.keyring_file.empty()) return "--jwt-keyring is required";
  if (config.tls_certificate.empty() != config.tls_key.empty()) return "--tls-cert and --tls-key go together";
  if (!config.admin_client_ca.empty() && config.tls_certificate.empty()) return "--admin-client-ca needs --tls-cert";
  if (config.reconnect_min_ms > config.reconnect_max_ms) return "--reconnect-min-ms is above --reconnect-max-ms";
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
  Texts texts;

  CLI::App app{"OA Sync fan-out: follows the journal of a PostgreSQL database and streams topics to WebSocket clients.",
               "oa-sync-fanout"};
  app.set_version_flag("--version", std::string("oa-sync-fanout ") + OA_SYNC_VERSION);
  app.set_config("--config", "", "File with settings, one `name = value` a line")->envname("OA_SYNC_CONFIG");
  app.allow_config_extras(CLI::config_extras_mode::error);  // a misspelt setting must not go unnoticed
  app.footer(
      "Every setting can also be given in the environment as OA_SYNC_<NAME>, or in the file of --config.\n"
      "The command line goes before the file, and the file before the environment.");
  AddServerSettings(&app, &config, &texts);
  AddTlsSettings(&app, &config);
  app.add_option("--trusted-proxy", texts.trusted_proxies,
                 "Address or network of proxies whose X-Forwarded-For is believed; repeatable")
      ->envname("OA_SYNC_TRUSTED_PROXY")
      ->delimiter(',')
      ->group("Clients");
  AddHttpSettings(&app, &config);
  AddDatabaseSettings(&app, &config, &texts.tail);
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
  config.documents.max_topics = config.hub.session.max_topics;
  result.message = Understand(texts, &config);
  if (result.message.empty()) result.message = CheckTogether(config);
  if (!result.message.empty()) {
    result.exit_code = 2;
    return result;
  }
  result.config = std::move(config);
  return result;
}

}  // namespace oasync
