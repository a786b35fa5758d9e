// Config: every setting of the server. The definitions are in config.cpp; docs/operations/settings.md is made from
// them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hub/hub.h"
#include "hub/router.h"
#include "net/client_limits.h"
#include "net/document_endpoints.h"
#include "settings.h"

namespace oasync {

// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): there is one of them, in the order of the settings.
struct Config {
  std::string database;
  std::string listen_host = "127.0.0.1";
  uint16_t listen_port = 4400;  // 0: any free one
  bool admin_listens = true;
  std::string admin_host = "127.0.0.1";
  uint16_t admin_port = 4401;           // 0: any free one
  bool public_metrics = false;          // /metrics on the public listener too
  uint32_t admin_max_connections = 64;  // WebSockets of the admin listener
  std::string public_url;               // how clients reach the public listener; for people only
  std::string console = "both";         // who is served the console: both, admin, off
  std::string console_dir;              // its files; empty: where it is installed, if it is
  uint64_t console_max_bytes = 33554432;
  std::string admin_client_ca;    // file; empty: no certificates are asked for
  std::string tls_certificate;    // file; empty: no TLS
  std::string tls_key;            // file
  AddressRanges trusted_proxies;  // whose X-Forwarded-For is believed
  uint32_t loops = 1;
  int64_t loop_stall_ms = 10000;

  std::string keyring_file;
  std::string jwks_file;
  std::vector<std::string> jwt_algorithms;  // empty: all
  std::string service_keys_file;
  std::string identity_keyring_file;
  std::string identity_jwks_file;
  std::string identity_issuer;
  std::string identity_audience = "oa-sync";
  int64_t identity_max_age_s = 3600;
  std::vector<std::string> identity_scopes;
  int64_t token_ttl_s = 300;
  uint32_t max_revocations = 100000;
  bool refuse_without_revocations = false;
  std::string jwt_issuer = "openagents";
  std::string jwt_audience = "oa-sync";
  int64_t jwt_max_age_s = 900;
  uint32_t max_token_bytes = 8192;
  uint32_t max_scopes = 256;
  std::vector<std::string> allowed_origins;  // normalized

  int64_t client_timeout_ms = 60000;
  int64_t handshake_timeout_ms = 10000;
  uint32_t max_turn_bytes = 262144;  // sent to one socket before others have their turn
  int64_t stall_ms = 20000;          // without an acknowledged byte: a strike
  uint32_t stall_strikes = 3;        // in a row: closed
  int64_t shutdown_spread_ms = 2000;
  int64_t shutdown_deadline_ms = 5000;
  int64_t close_timeout_ms = 5000;
  uint32_t max_connections = 20000;
  uint32_t max_handshakes = 1024;
  uint32_t listen_backlog = 4096;  // of each loop
  uint64_t memory_limit_mb = 0;    // 0: none
  ClientLimitOptions clients;
  uint32_t max_header_bytes = 8192;
  uint32_t max_frame_bytes = 65536;
  HubOptions hub;

  int64_t http_timeout_ms = 30000;
  uint32_t http_max_body_bytes = 65536;
  DocumentLimits documents;

  LoopQueueLimits loop_queue{100'000, 256 << 20};
  uint64_t max_slot_wal_bytes = uint64_t{16} << 30;  // 0: no limit
  int64_t canary_interval_ms = 5000;                 // 0: none
  int64_t statistics_interval_ms = 5000;             // 0: never
  int64_t ready_within_ms = 15000;
  int journal_readers = 2;
  int document_readers = 1;
  uint32_t max_queued_reads = 10000;
  int journal_poll_ms = 100;
  int gap_wait_ms = 100;
  bool tail_auto = true;
  int reconnect_min_ms = 100;
  int reconnect_max_ms = 3000;

  std::string log_level = "info";
  bool log_json = false;

  std::vector<Setting> settings;  // all of the above, described, without secrets
};

// Outcome of reading the command line, the environment and the configuration file.
struct ConfigResult {
  std::optional<Config> config;  // none: the program ends with exit_code
  int exit_code = 0;             // 0 after --help, --version and --print-settings, 2 for a bad setting
  std::string message;           // what to print: to stdout when exit_code is 0, else one line to stderr
};

ConfigResult ReadConfig(int argc, const char* const* argv);

}  // namespace oasync
