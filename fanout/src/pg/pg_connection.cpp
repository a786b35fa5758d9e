#include "pg_connection.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

#include "base/log.h"

namespace oasync::pg {

namespace {

void OnNotice(void*, const PGresult* result) {
  LogDebug("database.notice", "postgres notice: {notice}", {{"notice", OneLine(PQresultErrorMessage(result))}});
}

std::string Sqlstate(const PGresult* result) {
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  return state == nullptr ? std::string() : state;
}

// What a prepared statement meets whose functions or tables are not what they were, and what nobody expects.
bool MayBeOutdated(std::string_view sqlstate) {
  const std::string_view sqlclass = sqlstate.substr(0, 2);
  return sqlclass == "0A" || sqlclass == "26" || sqlclass == "3F" || sqlclass == "XX" ||
         (sqlclass == "42" && sqlstate != "42501");
}

}  // namespace

bool IsServerGoing(std::string_view sqlstate) {
  return sqlstate == "57P01" || sqlstate == "57P02" || sqlstate == "57P03";
}

PgConnHandle StartConnection(const Conninfo& info, const std::string& application_name, bool replication) {
  const auto parameters = info.Parameters(application_name, replication);
  std::vector<const char*> keywords;
  std::vector<const char*> values;
  for (const auto& [keyword, value] : parameters) {
    keywords.push_back(keyword.c_str());
    values.push_back(value.c_str());
  }
  keywords.push_back(nullptr);
  values.push_back(nullptr);
  PgConnHandle conn(PQconnectStartParams(keywords.data(), values.data(), /*expand_dbname=*/0));
  if (conn == nullptr) return conn;
  PQsetNoticeReceiver(conn.get(), OnNotice, nullptr);
  // The only way to the SQLSTATE of a refused connection: see ConnectError().
  PQsetErrorVerbosity(conn.get(), PQERRORS_VERBOSE);
  return conn;
}

std::string ConnectError(PGconn* conn, bool* not_yet) {
  // libpq's own messages are English, because this process never sets a locale. The last two are what it finds when
  // target_session_attrs asks for a primary and there are standbys only, of which one may be on its way.
  static constexpr const char* kNotYet[] = {"57P01: ", "57P02: ", "57P03: ", "session is read-only",
                                            "server is in hot standby mode"};
  std::string line = OneLine(PQerrorMessage(conn));
  *not_yet = std::any_of(std::begin(kNotYet), std::end(kNotYet),
                         [&](const char* sign) { return line.find(sign) != std::string::npos; });
  // What else the verbosity brings, the place in the server's source, helps nobody.
  for (size_t at; (at = line.find(" LOCATION:")) != std::string::npos;) {
    const size_t next = line.find(" connection to ", at);
    line.erase(at, next == std::string::npos ? next : next - at);
  }
  return line;
}

std::string QuoteIdentifier(const std::string& name) {
  std::string quoted = "\"";
  for (const char c : name) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

std::string OneLine(const char* message) {
  std::string line;
  for (const char* p = message == nullptr ? "" : message; *p != '\0'; ++p) {
    if (*p != '\n' && *p != '\r' && *p != '\t') {
      line += *p;
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
  }
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return line;
}

PgStatus PgConnection::Fail(PgFault fault, std::string message) {
  conn_.reset();
  if (message.empty()) message = "connection lost";
  return {fault, std::move(message)};
}

PgStatus PgConnection::FailToConnect() {
  PgStatus status;
  status.fault = PgFault::kConnection;
  status.message = ConnectError(conn_.get(), &status.not_yet);
  conn_.reset();
  return status;
}

PgStatus PgConnection::Wait(short events, TimePoint deadline) {
  for (;;) {
    const TimePoint now = Clock::now();
    if (now >= deadline) return {PgFault::kTimeout, "no answer from the database in time"};
    pollfd fds[2] = {{PQsocket(conn_.get()), events, 0}, {stop_fd_, POLLIN, 0}};
    const int ready = poll(fds, 2, PollTimeout(now, deadline, 60'000));
    if (ready < 0 && errno != EINTR) return {PgFault::kConnection, "poll failed"};
    if (ready <= 0) continue;
    if (fds[1].revents != 0) return {PgFault::kStopped, "stopping"};
    if (fds[0].revents != 0) return {};
  }
}

PgStatus PgConnection::Connect(Conninfo* info, const std::string& application_name, TimePoint deadline) {
  conn_ = StartConnection(*info, application_name, /*replication=*/false);
  if (conn_ == nullptr) return {PgFault::kConnection, "out of memory"};
  if (PQstatus(conn_.get()) == CONNECTION_BAD) return FailToConnect();
  PostgresPollingStatusType step = PGRES_POLLING_WRITING;
  while (step != PGRES_POLLING_OK) {
    const PgStatus waited = Wait(step == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline);
    if (waited.fault == PgFault::kTimeout) info->RotateHosts();
    if (!waited.ok()) return Fail(waited.fault, waited.message);
    step = PQconnectPoll(conn_.get());
    if (step == PGRES_POLLING_FAILED) return FailToConnect();
  }
  PQsetErrorVerbosity(conn_.get(), PQERRORS_DEFAULT);
  if (PQsetnonblocking(conn_.get(), 1) != 0)
    return Fail(PgFault::kConnection, "cannot make the connection non-blocking");
  return {};
}

PgStatus PgConnection::Finish(bool sent, TimePoint deadline, PgResult* result) {
  if (!sent) return Fail(PgFault::kConnection, OneLine(PQerrorMessage(conn_.get())));
  for (;;) {
    const int unsent = PQflush(conn_.get());
    if (unsent < 0) return Fail(PgFault::kConnection, OneLine(PQerrorMessage(conn_.get())));
    if (unsent == 0) break;
    // The server may want to be read from before it reads on.
    const PgStatus waited = Wait(POLLIN | POLLOUT, deadline);
    if (!waited.ok()) return Fail(waited.fault, waited.message);
    if (PQconsumeInput(conn_.get()) == 0) return Fail(PgFault::kConnection, OneLine(PQerrorMessage(conn_.get())));
  }
  PgResult last;
  for (;;) {
    while (PQisBusy(conn_.get()) != 0) {
      const PgStatus waited = Wait(POLLIN, deadline);
      if (!waited.ok()) return Fail(waited.fault, waited.message);
      if (PQconsumeInput(conn_.get()) == 0) return Fail(PgFault::kConnection, OneLine(PQerrorMessage(conn_.get())));
    }
    PgResult next(PQgetResult(conn_.get()));
    if (next == nullptr) break;
    last = std::move(next);
  }
  if (last == nullptr) return Fail(PgFault::kConnection, "no result");
  const ExecStatusType status = PQresultStatus(last.get());
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
    PgStatus refused{PgFault::kServer, OneLine(PQresultErrorMessage(last.get())), Sqlstate(last.get())};
    if (PQstatus(conn_.get()) != CONNECTION_BAD && !IsServerGoing(refused.sqlstate)) return refused;
    refused.fault = PgFault::kConnection;
    refused.not_yet = IsServerGoing(refused.sqlstate);
    conn_.reset();
    return refused;
  }
  if (result != nullptr) *result = std::move(last);
  return {};
}

PgStatus PgConnection::Execute(const std::string& sql, TimePoint deadline, PgResult* result) {
  if (!open()) return {PgFault::kConnection, "not connected"};
  return Finish(PQsendQuery(conn_.get(), sql.c_str()) == 1, deadline, result);
}

PgStatus PgConnection::Prepare(const char* name, const std::string& sql, TimePoint deadline) {
  if (!open()) return {PgFault::kConnection, "not connected"};
  return Finish(PQsendPrepare(conn_.get(), name, sql.c_str(), 0, nullptr) == 1, deadline, nullptr);
}

PgStatus PgConnection::ExecutePrepared(const char* name, const std::vector<std::string>& parameters, TimePoint deadline,
                                       PgResult* result) {
  if (!open()) return {PgFault::kConnection, "not connected"};
  std::vector<const char*> values;
  std::vector<int> lengths;
  for (const auto& parameter : parameters) {
    values.push_back(parameter.data());
    lengths.push_back(static_cast<int>(parameter.size()));
  }
  const std::vector<int> formats(parameters.size(), 1);
  PgStatus status = Finish(PQsendQueryPrepared(conn_.get(), name, static_cast<int>(parameters.size()), values.data(),
                                               lengths.data(), formats.data(), /*resultFormat=*/1) == 1,
                           deadline, result);
  if (MayBeOutdated(status.sqlstate)) Close();
  return status;
}

}  // namespace oasync::pg
