// Options: what the command line, and the environment, say. Defined in command_line.cpp; the help, the manual and the
// completions are made from those definitions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "endpoint.h"
#include "filter.h"
#include "since.h"
#include "terminal.h"
#include "tls_context.h"
#include "token_source.h"

namespace oasync::terminal {

// What every command has.
struct CommonOptions {
  ColourMode colour = ColourMode::kAuto;
  bool quiet = false;
  bool verbose = false;
};

// Where a fan-out is, and what opens it.
struct ServerOptions {
  std::string url = "ws://127.0.0.1:4400/socket";
  TlsOptions tls;
  int timeout_ms = 15000;
  TokenOptions token;
  Endpoint endpoint;  // of `url`
};

struct TailOptions {
  ServerOptions server;
  std::vector<std::string> topics;
  std::string cursor_file;
  std::string since;  // as written; empty: the default
  Since start;
  std::vector<std::string> ops;
  std::vector<std::string> keys;
  std::vector<std::string> fields;
  Filter filter;
  bool json = false;
  bool follow = true;
  bool resync = false;
  uint64_t count = 0;  // 0: no end
  int retries = 30;
  uint64_t max_message_bytes = uint64_t{16} << 20;
};

struct SnapshotOptions {
  ServerOptions server;
  std::string topic;
  std::string key;  // one document
  std::string cursor_file;
  bool json = false;
  int limit = 0;  // documents of a page; 0: the server's
};

struct StatusOptions {
  ServerOptions server;
  std::vector<std::string> topics;
  std::string admin_url;
  Endpoint admin;
  std::string key_file;
  bool json = false;
  bool watch = false;
  double interval_s = 2;
};

struct TokenCommandOptions {
  ServerOptions server;
  bool json = false;
};

struct BenchOptions {
  ServerOptions server;
  std::string script;  // HOST:PORT: what to do is read from standard input
  std::string topic;
  uint64_t connections = 100;
  double seconds = 10;
  std::string stamp;
};

struct DoctorOptions {
  ServerOptions server;
  bool checks_server = false;  // --url was given
  std::string database;
  std::string admin_url;
  Endpoint admin;
  std::string key_file;
  std::string role;  // whose rights to look at; empty: who is connected
  bool json = false;
};

struct ParityOptions {
  std::string action;  // audit, run, gate, status
  ServerOptions server;
  bool probes_wire = false;  // --url was given
  std::string database;
  std::vector<std::string> lanes;
  int64_t samples = 0;  // 0: each lane's own
  int probes = 5;
  std::string seed;
  std::string every = "60s";
  int64_t every_ms = 60000;
  std::string window = "1h";
  int64_t window_ms = 3600000;
  double max_rate = 0.01;
  int64_t min_samples = 100;
  std::string earlier_token_file;
  std::string earlier_ca_file;
  double earlier_timeout_s = 5;
  uint64_t max_answer_bytes = uint64_t{4} << 20;
  std::string log_format = "text";
  bool json = false;
};

enum class Command : uint8_t { kTail, kStatus, kSnapshot, kToken, kBench, kDoctor, kParity, kCompletion, kManual };

struct Options {
  Command command = Command::kTail;
  CommonOptions common;
  TailOptions tail;
  SnapshotOptions snapshot;
  StatusOptions status;
  TokenCommandOptions token;
  BenchOptions bench;
  DoctorOptions doctor;
  ParityOptions parity;
  std::string shell;  // of `completion`
};

}  // namespace oasync::terminal
