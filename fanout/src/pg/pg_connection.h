// PgConnection: one libpq connection used by one thread, never blocking past a deadline or a stop signal.
//
// Every wait is a poll(2) on the socket and on the stop descriptor. After a failed call the connection is closed,
// unless the server merely refused the statement: look at open().
#pragma once

#include <libpq-fe.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "clock.h"
#include "conninfo.h"

namespace oasync::pg {

struct PgConnFinish {
  void operator()(PGconn* conn) const { PQfinish(conn); }
};
using PgConnHandle = std::unique_ptr<PGconn, PgConnFinish>;

struct PgResultClear {
  void operator()(PGresult* result) const { PQclear(result); }
};
using PgResult = std::unique_ptr<PGresult, PgResultClear>;
using PgResultRef = std::shared_ptr<PGresult>;

// Begins a connection without blocking (name resolution excepted: libpq has no other way). Null only without memory.
PgConnHandle StartConnection(const Conninfo& info, const std::string& application_name, bool replication);

// An error of libpq as one line: PQerrorMessage or the result's, trimmed; never holds a password.
std::string OneLine(const char* message);

// Why a connection that was being established failed, as one line; `not_yet` as in PgStatus.
std::string ConnectError(PGconn* conn, bool* not_yet);

// An SQL identifier in double quotes.
std::string QuoteIdentifier(const std::string& name);

// What went wrong, so that the caller knows whether to try again elsewhere.
enum class PgFault : uint8_t {
  kNone,
  kConnection,  // the connection is gone or was never there
  kServer,      // the server refused the statement
  kTimeout,     // the deadline passed
  kStopped,     // the stop descriptor became readable
};

struct PgStatus {
  PgFault fault = PgFault::kNone;
  std::string message{};   // one line; empty on success
  std::string sqlstate{};  // the server's, when it gave one
  // The server is there but starting, stopping or being promoted: worth asking again soon.
  bool not_yet = false;
  bool ok() const { return fault == PgFault::kNone; }
};

class PgConnection {
 public:
  // `stop_fd`: every wait ends with kStopped when it is readable. It must outlive the connection.
  explicit PgConnection(int stop_fd) : stop_fd_(stop_fd) {}

  // Connects; on a timeout the hosts of `info` are rotated for the next attempt.
  PgStatus Connect(Conninfo* info, const std::string& application_name, TimePoint deadline);
  void Close() { conn_.reset(); }
  bool open() const { return conn_ != nullptr; }

  // Runs one statement without parameters, text results.
  PgStatus Execute(const std::string& sql, TimePoint deadline, PgResult* result);
  PgStatus Prepare(const char* name, const std::string& sql, TimePoint deadline);
  // Runs a prepared statement; parameters and results are in binary format. Closes the connection when the statement
  // may be out of date (the extension was dropped, moved or updated): a new one prepares it anew.
  PgStatus ExecutePrepared(const char* name, const std::vector<std::string>& parameters, TimePoint deadline,
                           PgResult* result);

 private:
  // Waits until the socket is ready for `events`.
  PgStatus Wait(short events, TimePoint deadline);
  PgStatus Finish(bool sent, TimePoint deadline, PgResult* result);
  PgStatus Fail(PgFault fault, std::string message);
  PgStatus FailToConnect();

  const int stop_fd_;
  PgConnHandle conn_;
};

}  // namespace oasync::pg
