#include "config.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <filesystem>
#include <thread>

#include "auth/origin.h"
#include "auth/token_issuer.h"
#include "settings.h"

namespace oasync {
namespace {

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

// Where `make install` puts the console, as seen from the program; empty when it is not there.
std::string InstalledConsole() {
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return {};
  const std::filesystem::path console = program.parent_path().parent_path() / "share" / "oa-sync" / "console";
  return std::filesystem::is_directory(console, error) ? console.string() : std::string();
}

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
  if (config->console_dir.empty()) config->console_dir = InstalledConsole();
  return {};
}

void AddServerSettings(CLI::App* app, Config* config, Texts* texts) {
  static constexpr char kGroup[] = "Server";
  Add(app, "--listen", texts->listen,
      "HOST:PORT to listen on; [::1]:4400 for IPv6, :4400 for all IPv4 addresses. Port 0 takes any free port; the one "
      "taken is in the line printed to stdout",
      kGroup);
  Add(app, "--admin-listen", texts->admin_listen,
      "HOST:PORT of the admin listener: metrics and readiness in detail without a token, and what operators ask for "
      "with a "
      "service key. Keep it private. Port "
      "0 takes any free port, in a line of its own on stdout; off: none",
      kGroup);
  AddNumber(app, "--loops", config->loops, 1, 1024, "Event loops, each one thread with its own sockets", kGroup)
      ->default_str("one per core");
  AddNumber(app, "--loop-stall-ms", config->loop_stall_ms, 1000, 3600000,
            "/healthz is 503 when an event loop has not turned for so long", kGroup);
  AddNumber(
      app, "--memory-limit-mb", config->memory_limit_mb, 0, 1 << 30,
      "While the process is larger, upgrades are answered with 503 memory_pressure; those inside go on. Looked at "
      "once a second. 0: no limit",
      kGroup);
  Add(app, "--log-level", config->log_level, "What to log, to stderr. Tokens and payloads never are", kGroup)
      ->check(OneOf({"trace", "debug", "info", "warn", "error", "off"}));
  Add(app, "--log-format", texts->log_format, "How to log: lines of text, or one JSON object a line", kGroup)
      ->check(OneOf({"text", "json"}));
}

void AddTlsSettings(CLI::App* app, Config* config) {
  static constexpr char kGroup[] = "TLS";
  Reread(Add(app, "--tls-cert", config->tls_certificate,
             "File with the certificate and its chain (PEM): TLS 1.2 and 1.3 on both listeners. Read again when it "
             "changes, looked at once a second",
             kGroup));
  Reread(Add(app, "--tls-key", config->tls_key, "File with its private key (PEM, no passphrase). The two go together",
             kGroup));
  Add(app, "--admin-client-ca", config->admin_client_ca,
      "File with the authorities (PEM) of the certificates that clients of the admin listener must show", kGroup);
}

void AddHttpSettings(CLI::App* app, Config* config) {
  static constexpr char kGroup[] = "HTTP";
  DocumentLimits& documents = config->documents;
  AddNumber(app, "--http-timeout-ms", config->http_timeout_ms, 100, 3600000,
            "From a whole request to the last byte of its answer", kGroup);
  AddNumber(app, "--http-max-body-bytes", config->http_max_body_bytes, 0, 16777216,
            "Largest body of a request; a larger one is 413", kGroup);
  AddNumber(app, "--http-max-answers", documents.max_answers, 1, 65536,
            "Snapshots, documents and heads that the database is asked for or that are on their way to a client; more "
            "get 503",
            kGroup);
  AddNumber(app, "--http-requests-per-second", config->clients.requests_per_second, 0, 1000000,
            "Requests of one address (IPv6: of a /64), twice as many at once; more get 429. 65536 addresses are "
            "counted apart, others together. Probes and metrics do not count. 0: no limit",
            kGroup);
  AddNumber(app, "--http-gzip-min-bytes", documents.gzip_min_bytes, 0, int64_t{1} << 32,
            "Smaller answers are not compressed", kGroup);
  AddNumber(app, "--snapshot-max-documents", documents.max_documents, 1, 100000,
            "Documents in one page of a snapshot; a client's limit can only lower it", kGroup);
  AddNumber(app, "--snapshot-max-bytes", documents.max_bytes, 1024, 268435456,
            "Bytes of one page, about (at least one document)", kGroup);
  Add(app, "--public-metrics", config->public_metrics, "on: /metrics is served on the public listener too", kGroup)
      ->default_str("off")
      ->check(OneOf({"off", "on"}));
}

void AddConsoleSettings(CLI::App* app, Config* config) {
  static constexpr char kGroup[] = "Console";
  Add(app, "--console", config->console,
      "Who is served the console at /: both listeners, the admin listener only, or nobody", kGroup)
      ->check(OneOf({"both", "admin", "off"}));
  Add(app, "--console-dir", config->console_dir,
      "Directory with the console's files, read once at the start. Without it the directory share/oa-sync/console of "
      "the installation, if it is there",
      kGroup);
  AddNumber(app, "--console-max-bytes", config->console_max_bytes, 65536, int64_t{1} << 32,
            "Bytes of those files together (and 1000 files): more are refused at the start", kGroup);
  Add(app, "--public-url", config->public_url,
      "How clients reach the public listener, such as wss://sync.example.com: shown to operators, used for nothing",
      kGroup);
  AddNumber(app, "--admin-max-connections", config->admin_max_connections, 1, 100000,
            "WebSockets of the admin listener, beside those of --max-connections; more get 503", kGroup);
}

void AddConnectionSettings(CLI::App* app, Config* config, Texts* texts) {
  static constexpr char kGroup[] = "Clients";
  auto& session = config->hub.session;
  AddNumber(app, "--max-connections", config->max_connections, 1, 10000000,
            "WebSockets; an upgrade beyond them is answered with 503", kGroup);
  AddNumber(
      app, "--max-handshakes", config->max_handshakes, 1, 1000000,
      "Connections that are no WebSockets (yet): handshakes and HTTP. More are closed at once; they take no place "
      "of a WebSocket",
      kGroup);
  AddNumber(app, "--max-connections-per-address", config->clients.connections_per_address, 0, 10000000,
            "Connections of one IPv4 address or IPv6 /64; 0: no limit, for many clients can share an address", kGroup);
  AddNumber(app, "--max-connections-per-subject", config->clients.connections_per_subject, 0, 10000000,
            "WebSockets of one sub; 0: no limit", kGroup);
  Add(app, "--trusted-proxy", texts->trusted_proxies,
      "Address or network of proxies whose X-Forwarded-For is believed; repeatable, or separated by commas", kGroup)
      ->delimiter(',');
  AddNumber(app, "--listen-backlog", config->listen_backlog, 1, 65535,
            "Connections that wait to be accepted, for each loop (the kernel's net.core.somaxconn may lower it); more "
            "are left to the client's TCP to try again",
            kGroup);
  AddNumber(app, "--handshake-timeout-ms", config->handshake_timeout_ms, 100, 600000,
            "A connection whose request is not whole by then is cut", kGroup);
  AddNumber(app, "--max-header-bytes", config->max_header_bytes, 2048, 65535,
            "Request line and headers of one request together, a token in them included; a larger request is cut",
            kGroup);
  AddNumber(app, "--heartbeat-interval-ms", session.heartbeat_interval_ms, 100, 600000,
            "How often a joined client is sent sync:heartbeat", kGroup);
  AddNumber(
      app, "--client-timeout-ms", config->client_timeout_ms, 500, 3600000,
      "A client that sends no frame for so long is closed with 1008 (at half of it the server sends a ping, whose "
      "pong counts)",
      kGroup);
  AddNumber(
      app, "--stall-ms", config->stall_ms, 100, 3600000,
      "A client that acknowledges no byte of what waits for it for so long gets a strike; one byte clears them all",
      kGroup);
  AddNumber(app, "--stall-strikes", config->stall_strikes, 1, 100,
            "Strikes in a row after which it is closed with 1008, and told slow_consumer if it reads again in time",
            kGroup);
  AddNumber(app, "--slow-reconnect-ms", session.slow_reconnect_ms, 0, 3600000,
            "The reconnect_after_ms in slow_consumer", kGroup);
  AddNumber(app, "--reconnect-backoff-base-ms", session.reconnect_base_ms, 0, 3600000,
            "How long clients are told to wait before they connect again: in the reply to a join, and in going_away",
            kGroup);
  AddNumber(app, "--reconnect-backoff-jitter-ms", session.reconnect_jitter_ms, 0, 3600000,
            "How much longer at most, at random", kGroup);
  AddNumber(
      app, "--close-timeout-ms", config->close_timeout_ms, 100, 600000,
      "How long a socket that is being closed may take for what is still to be sent to it and for the close frame",
      kGroup);
  AddNumber(app, "--max-frame-bytes", config->max_frame_bytes, 256, 16777216,
            "Largest message taken from a client, summed over its fragments; a larger one closes the socket with 1009",
            kGroup);
  AddNumber(app, "--max-topics-per-socket", session.max_topics, 1, 65536,
            "Topics that one socket may follow; more get bad_subscription with max_topics", kGroup);
  AddNumber(app, "--max-requests-per-second", session.max_requests_per_second, 1, 1000000,
            "Requests of one socket, twice as many at once; more get rate_limited with retry_after_ms. Phoenix "
            "heartbeats do not count",
            kGroup);
  AddNumber(app, "--max-outstanding-requests", session.max_outstanding_requests, 1, 1024,
            "Joins and subscribes of one socket that wait for the database at a time; more get rate_limited", kGroup);
  AddNumber(app, "--max-waiting-answers", session.max_waiting_answers, 4, 65536,
            "Answers and notices that wait for a client to read them; then no more of its requests are read until it "
            "does",
            kGroup);
  auto& admission = config->hub.admission;
  AddNumber(
      app, "--max-joins-per-second", admission.joins_per_second, 0, 10000000,
      "Joins of the whole server, as many at once; more get rate_limited, each with another retry_after_ms. 0: no "
      "limit",
      kGroup);
  AddNumber(
      app, "--max-replays", admission.max_replays, 0, 10000000,
      "Joins and subscribes under way that need pages of the journal, for 5 s each at most; more get rate_limited, "
      "each with another retry_after_ms. 0: no limit",
      kGroup);
  AddNumber(app, "--max-topics", admission.max_topics, 0, 100000000,
            "Topics held, summed over the loops, those without subscribers included for the 10 s that they stay (1 s "
            "when they have no event); a join or subscribe beyond them gets rate_limited. 0: no limit",
            kGroup);
  AddNumber(app, "--shutdown-spread-ms", config->shutdown_spread_ms, 0, 600000,
            "After SIGTERM or SIGINT the sockets are told going_away and closed with 1001, one after the other over "
            "this time. A second signal ends the process at once",
            kGroup);
  AddNumber(app, "--shutdown-deadline-ms", config->shutdown_deadline_ms, 0, 600000,
            "What is not closed so long after that is cut", kGroup);
}

void AddDeliverySettings(CLI::App* app, Config* config) {
  static constexpr char kGroup[] = "Delivery";
  auto& hub = config->hub;
  AddNumber(app, "--max-batch-events", hub.batch.max_events, 1, 10000,
            "Updates in one batch. A client's replay_batch_size can only lower it", kGroup);
  AddNumber(app, "--max-update-bytes", hub.batch.max_update_bytes, 1024, 67108864,
            "An encoded update that is larger goes out with payload null and hydration_required", kGroup);
  AddNumber(app, "--max-batch-bytes", hub.batch.max_batch_bytes, 8192, 268435456,
            "Bytes of one batch, its frame included. At least --max-update-bytes + 4096", kGroup);
  Add(app, "--deflate", hub.deflate.offered,
      "on: permessage-deflate for clients that offer it (browsers do), without context takeover; a batch is compressed "
      "once for all of them",
      kGroup);
  AddNumber(app, "--deflate-level", hub.deflate.level, 1, 9, "1 is the quickest, 9 the smallest", kGroup);
  AddNumber(app, "--deflate-min-bytes", hub.deflate.min_bytes, 0, int64_t{1} << 32,
            "Smaller batches are not compressed", kGroup);
  AddNumber(app, "--max-turn-bytes", config->max_turn_bytes, 1024, 268435456,
            "Bytes after which a socket lets others of its loop have their turn, when the frame is whole; four frames "
            "at most",
            kGroup);
  AddNumber(app, "--window-events", hub.window_events, 1, 1000000,
            "Newest events of a topic kept in memory by each loop that has subscribers for it", kGroup);
  AddNumber(app, "--window-bytes", hub.window_bytes, 4096, int64_t{1} << 34,
            "Bytes of them; whichever is reached first. Loops share the events themselves, so several windows of a "
            "topic cost little more than one",
            kGroup);
  AddNumber(app, "--loop-queue-events", config->loop_queue.max_events, 1, 100000000,
            "Live events that wait for one event loop. A loop that does not keep up reads the rest from the journal",
            kGroup);
  AddNumber(app, "--loop-queue-bytes", config->loop_queue.max_bytes, 65536, int64_t{1} << 40, "Bytes of them", kGroup);
  AddNumber(app, "--replay-page-events", hub.replay_page_events, 1, 100000,
            "Events in a page of the journal: page k holds the watermarks above k times this. A read brings a page, or "
            "as much of it as --max-batch-bytes",
            kGroup);
  AddNumber(
      app, "--page-cache-bytes", hub.page_cache_bytes, 65536, int64_t{1} << 36,
      "Memory for journal pages, shared by all loops and sockets; a page is read once for everybody. Pages in use "
      "count too: when they fill it, further replays wait, and a page from which a socket has taken nothing for a "
      "second goes back. Up to 16 reads under way come on top",
      kGroup);
}

void AddCompatibilitySettings(CLI::App* app, Config* config) {
  static constexpr char kGroup[] = "Compatibility";
  auto& gate = config->hub.gate;
  Add(app, "--compatibility-gate", gate.enabled,
      "on: a join without a supported client_build_id, protocol_version and schema_version is refused", kGroup)
      ->default_str("off")
      ->check(OneOf({"off", "on"}));
  Add(app, "--compatibility-surface", gate.surface, "What refusals name as surface", kGroup);
  Add(app, "--protocol-version", gate.protocol_versions,
      "A protocol_version that may join; repeatable, or separated by commas. The first one is named in refusals",
      kGroup)
      ->delimiter(',');
  AddNumber(app, "--min-schema-version", gate.min_schema_version, 1, 1000000, "Lowest schema_version that may join",
            kGroup);
  AddNumber(app, "--max-schema-version", gate.max_schema_version, 1, 1000000, "Highest schema_version that may join",
            kGroup);
  Add(app, "--min-client-build-id", gate.min_client_build_id,
      "Oldest client_build_id that may join, YYYYMMDDTHHMMSSZ; older ones are told upgrade_required", kGroup);
  Add(app, "--max-client-build-id", gate.max_client_build_id,
      "Newest client_build_id that may join; none: no limit. Newer ones are told unsupported_client_build", kGroup);
}

void AddTokenSettings(CLI::App* app, Config* config) {
  static constexpr char kGroup[] = "Tokens and origins";
  auto& session = config->hub.session;
  Reread(Add(app, "--jwt-keyring", config->keyring_file,
             R"(File with {"current":"k1","keys":{"k1":"<base64url secret>", ...}}. HS256; a secret has at least 32 )"
             "bytes. Every key of the file is accepted, so that keys can be changed one after the other; tokens are "
             "made with the current one. This or --jwt-jwks is required. Read again when it changes",
             kGroup));
  Reread(Add(app, "--jwt-jwks", config->jwks_file,
             "File with a JSON Web Key Set: public keys of RS256, ES256 (P-256) and EdDSA (Ed25519), each with a kid. "
             "Read again when it changes",
             kGroup));
  Add(app, "--jwt-algorithms", config->jwt_algorithms, "Algorithms of tokens that are accepted; none: all four", kGroup)
      ->delimiter(',')
      ->check(OneOf({"HS256", "RS256", "ES256", "EdDSA"}));
  Add(app, "--jwt-issuer", config->jwt_issuer, "What iss must be", kGroup);
  Add(app, "--jwt-audience", config->jwt_audience, "What aud must be or contain", kGroup);
  AddNumber(app, "--jwt-max-age-s", config->jwt_max_age_s, 1, 31536000,
            "Oldest token, counted from iat. A token counts as expired then, whatever its exp", kGroup);
  AddNumber(app, "--max-token-bytes", config->max_token_bytes, 256, 65536,
            "Longest token; --max-header-bytes bounds one that comes with the upgrade too", kGroup);
  AddNumber(app, "--max-scopes", config->max_scopes, 1, 65536, "Scopes of one token; one with more is refused", kGroup);
  AddNumber(app, "--token-grace-ms", session.token_grace_ms, 0, 3600000, "So long a socket outlives its token", kGroup);
  AddNumber(app, "--token-warning-ms", session.token_warning_ms, 0, 3600000,
            "So long before its token expires a client is sent sync:error token_expired, once it has joined", kGroup);
  AddNumber(app, "--max-revocations", config->max_revocations, 100, 10000000,
            "Revoked sessions, devices and tokens that are remembered, some 200 bytes each; beyond them those that end "
            "first are forgotten, with an error in the log",
            kGroup);
  Add(app, "--require-revocations", config->refuse_without_revocations,
      "on: WebSockets and reads over HTTP are refused with 503 until the database has told what is revoked", kGroup)
      ->default_str("off")
      ->check(OneOf({"off", "on"}));
  app->add_option("--allowed-origin", config->allowed_origins,
                  "Origin whose web pages may connect; repeatable, or separated by commas. A client that sends no "
                  "Origin (every one that is no browser) may always, and so may pages of this server itself when it "
                  "is reached as localhost or by an IP address")
      ->envname("OA_SYNC_ALLOWED_ORIGIN")
      ->delimiter(',')
      ->group(kGroup);
}

void AddMintingSettings(CLI::App* app, Config* config) {
  static constexpr char kGroup[] = "Making tokens";
  AddNumber(app, "--token-ttl-s", config->token_ttl_s, kTokenTtlMinS, kTokenTtlMaxS,
            "Seconds a token is good for when who asks for it does not say", kGroup);
  Reread(
      Add(app, "--service-keys", config->service_keys_file,
          "File with the keys that may ask for tokens, revoke them, or observe the server. Read again when it changes",
          kGroup));
  Reread(Add(app, "--identity-keyring", config->identity_keyring_file,
             "File with the secrets of identity tokens (HS256), as --jwt-keyring. Read again when it changes", kGroup));
  Reread(Add(app, "--identity-jwks", config->identity_jwks_file,
             "File with the public keys of identity tokens, as --jwt-jwks. Read again when it changes", kGroup));
  Add(app, "--identity-issuer", config->identity_issuer,
      "What iss of an identity token must be. Required with either file", kGroup);
  Add(app, "--identity-audience", config->identity_audience, "What its aud must be or contain", kGroup);
  AddNumber(app, "--identity-max-age-s", config->identity_max_age_s, 1, 31536000,
            "Oldest identity token, counted from iat", kGroup);
  app->add_option("--identity-scope", config->identity_scopes,
                  "Scope of an identity token that has no oa_sync_scopes; repeatable, or separated by commas")
      ->envname("OA_SYNC_IDENTITY_SCOPE")
      ->delimiter(',')
      ->group(kGroup);
}

void AddDatabaseSettings(CLI::App* app, Config* config, std::string* tail) {
  static constexpr char kGroup[] = "Database";
  Required(Secret(Add(app, "--database", config->database,
                      "libpq connection string or URI, several hosts allowed. The role needs to read the extension's "
                      "functions, and REPLICATION for the slot; without it live events are polled from the journal",
                      kGroup)));
  Add(app, "--tail", *tail, "auto: a temporary logical slot, the journal while there is none; journal: never a slot",
      kGroup)
      ->check(OneOf({"auto", "journal"}));
  AddNumber(app, "--journal-readers", config->journal_readers, 1, 64,
            "Connections that read the journal for subscribers", kGroup);
  AddNumber(app, "--document-readers", config->document_readers, 1, 64,
            "Connections that read snapshots and documents, made when they are first needed", kGroup);
  AddNumber(app, "--max-queued-reads", config->max_queued_reads, 1, 10000000,
            "Reads that may wait for a connection, in the journal and among documents each; more fail", kGroup);
  AddNumber(app, "--journal-poll-ms", config->journal_poll_ms, 1, 60000,
            "How often the journal is asked for live events while there is no slot", kGroup);
  AddNumber(app, "--gap-wait-ms", config->gap_wait_ms, 0, 60000,
            "A live event whose predecessor is missing is held this long before the journal is asked", kGroup);
  AddNumber(app, "--max-slot-wal-bytes", config->max_slot_wal_bytes, 0, int64_t{1} << 50,
            "A slot that keeps the server from removing more WAL than this is given up for a new one; live events come "
            "from the journal meanwhile. 0: never",
            kGroup);
  AddNumber(app, "--canary-interval-ms", config->canary_interval_ms, 0, 3600000,
            "An event of the server's own is sent, on the topic oa_sync.canary, when none came this long, to see that "
            "events come through; 0: never",
            kGroup);
  AddNumber(
      app, "--statistics-interval-ms", config->statistics_interval_ms, 0, 3600000,
      "How often the database is asked for what /metrics says of it: the worker, failures to write, the journal's "
      "size; 0: never",
      kGroup);
  AddNumber(app, "--ready-within-ms", config->ready_within_ms, 1000, 3600000,
            "/readyz is 503 when the last canary that came (or another sign of the tail's progress, where there are no "
            "canaries) is older. More than --canary-interval-ms",
            kGroup);
  AddNumber(app, "--reconnect-min-ms", config->reconnect_min_ms, 1, 600000,
            "First pause before connecting again; doubles each time", kGroup);
  AddNumber(app, "--reconnect-max-ms", config->reconnect_max_ms, 1, 600000,
            "Longest pause before connecting again. Not below the first", kGroup);
}

// What no single setting of the gate can check; empty when all is well.
std::string CheckGate(const CompatibilityGate& gate) {
  if (gate.protocol_versions.empty()) return "--protocol-version is empty";
  if (gate.min_schema_version > gate.max_schema_version) return "--min-schema-version is above --max-schema-version";
  if (!IsClientBuildId(gate.min_client_build_id)) return "--min-client-build-id: not of the form YYYYMMDDTHHMMSSZ";
  if (gate.max_client_build_id.empty()) return {};
  if (!IsClientBuildId(gate.max_client_build_id)) return "--max-client-build-id: not of the form YYYYMMDDTHHMMSSZ";
  if (gate.min_client_build_id > gate.max_client_build_id)
    return "--min-client-build-id is above --max-client-build-id";
  return {};
}

// What no single option can check; empty when all is well.
std::string CheckTogether(const Config& config) {
  if (config.database.empty()) return "--database is required";
  if (config.keyring_file.empty() && config.jwks_file.empty()) return "--jwt-keyring or --jwt-jwks is required";
  const bool has_identities = !config.identity_keyring_file.empty() || !config.identity_jwks_file.empty();
  if (has_identities && config.identity_issuer.empty()) return "--identity-issuer is required";
  if (config.tls_certificate.empty() != config.tls_key.empty()) return "--tls-cert and --tls-key go together";
  if (!config.admin_client_ca.empty() && config.tls_certificate.empty()) return "--admin-client-ca needs --tls-cert";
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
  return CheckGate(config.hub.gate);
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
  if (option == nullptr) return name + ": not a valid value";
  const std::string type = option->get_type_name();  // "UINT:1 to 64"
  return name + ": not a valid value, expected " + type.substr(type.find(':') + 1);
}

}  // namespace

ConfigResult ReadConfig(int argc, const char* const* argv) {
  Config config;
  config.loops = std::max(1u, std::thread::hardware_concurrency());
  config.hub.session.max_topics = 256;
  Texts texts;

  CLI::App app{"OA Sync fan-out: follows the journal of a PostgreSQL database and streams topics to WebSocket clients.",
               "oa-sync-fanout"};
  UseReadableHelp(&app);
  app.set_version_flag("--version", std::string("oa-sync-fanout ") + OA_SYNC_VERSION);
  app.set_config("--config", "", "File with settings, one `name = value` a line")
      ->envname("OA_SYNC_CONFIG")
      ->group("Server");
  app.allow_config_extras(CLI::config_extras_mode::error);  // a misspelt setting must not go unnoticed
  app.footer(
      "Every setting can also be given in the environment as OA_SYNC_<NAME>, or in the file of --config.\n"
      "The command line goes before the file, and the file before the environment.");
  AddServerSettings(&app, &config, &texts);
  AddTlsSettings(&app, &config);
  AddHttpSettings(&app, &config);
  AddDatabaseSettings(&app, &config, &texts.tail);
  AddTokenSettings(&app, &config);
  AddMintingSettings(&app, &config);
  AddConsoleSettings(&app, &config);
  AddConnectionSettings(&app, &config, &texts);
  AddDeliverySettings(&app, &config);
  AddCompatibilitySettings(&app, &config);
  std::string print;
  app.add_option("--print-settings", print,
                 "Print every setting with its default, range, meaning and value in effect, and end: json, or markdown "
                 "for the reference page")
      ->check(OneOf({"json", "markdown"}))
      ->configurable(false);

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
  config.settings = DescribeSettings(&app);
  for (Setting& setting : config.settings) {
    // The default depends on the machine; what is in effect does not hide behind words.
    if (setting.name == "--loops") setting.value = std::to_string(config.loops);
  }
  if (!print.empty()) {
    result.message = print == "json" ? SettingsAsJson(config.settings) : SettingsAsMarkdown(config.settings);
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
