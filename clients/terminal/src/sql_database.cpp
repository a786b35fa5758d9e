#include "sql_database.h"

#include <libpq-fe.h>

#include <array>
#include <charconv>

namespace oasync::terminal {
namespace {

using Result = std::unique_ptr<PGresult, void (*)(PGresult*)>;

// libpq's messages are several lines.
std::string OneLine(const char* message) {
  std::string line;
  for (const char* at = message; at != nullptr && *at != '\0'; ++at) line += *at == '\n' || *at == '\t' ? ' ' : *at;
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return line.empty() ? "unknown error" : line;
}

}  // namespace

std::string DatabaseResult::Text(size_t column, const std::string& otherwise) const {
  if (rows.empty() || column >= rows[0].size()) return otherwise;
  return rows[0][column].value_or(otherwise);
}

int64_t DatabaseResult::Integer(size_t column) const {
  const std::string text = Text(column);
  int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

Database::Database() : connection_(nullptr, &PQfinish) {}

std::string Database::Connect(const std::string& conninfo, const char* name) {
  // What stands behind wins: the connection string may say otherwise.
  // Keepalives: a host that is gone without a word must not leave a gate or an auditor waiting for hours.
  const std::array<const char*, 8> keywords = {"connect_timeout",
                                               "keepalives_idle",
                                               "keepalives_interval",
                                               "keepalives_count",
                                               "tcp_user_timeout",
                                               "fallback_application_name",
                                               "dbname",
                                               nullptr};
  const std::array<const char*, 8> values = {"5", "10", "5", "3", "25000", name, conninfo.c_str(), nullptr};
  connection_.reset(PQconnectdbParams(keywords.data(), values.data(), /*expand_dbname=*/1));
  if (connection_ == nullptr) return "out of memory";
  if (PQstatus(connection_.get()) != CONNECTION_OK) return OneLine(PQerrorMessage(connection_.get()));
  PQsetClientEncoding(connection_.get(), "UTF8");
  // Not as a connection option: poolers refuse those.
  const Result set(PQexec(connection_.get(), "SET statement_timeout = '10s'"), &PQclear);
  return PQresultStatus(set.get()) == PGRES_COMMAND_OK ? std::string() : OneLine(PQerrorMessage(connection_.get()));
}

DatabaseResult Database::Query(const std::string& sql, const std::vector<std::string>& parameters) {
  std::vector<const char*> values;
  values.reserve(parameters.size());
  for (const std::string& parameter : parameters) values.push_back(parameter.c_str());
  const Result result(PQexecParams(connection_.get(), sql.c_str(), static_cast<int>(values.size()), nullptr,
                                   values.data(), nullptr, nullptr, 0),
                      &PQclear);
  DatabaseResult answer;
  if (PQresultStatus(result.get()) != PGRES_TUPLES_OK) {
    const char* message = PQresultErrorField(result.get(), PG_DIAG_MESSAGE_PRIMARY);
    const char* state = PQresultErrorField(result.get(), PG_DIAG_SQLSTATE);
    answer.error = OneLine(message != nullptr ? message : PQerrorMessage(connection_.get()));
    answer.sqlstate = state != nullptr ? state : "";
    return answer;
  }
  for (int row = 0; row < PQntuples(result.get()); ++row) {
    DatabaseRow& values_of_row = answer.rows.emplace_back();
    for (int column = 0; column < PQnfields(result.get()); ++column) {
      const bool null = PQgetisnull(result.get(), row, column) != 0;
      values_of_row.push_back(null ? std::nullopt : std::optional<std::string>(PQgetvalue(result.get(), row, column)));
    }
  }
  return answer;
}

std::string Database::Identifier(const std::string& name) const {
  char* quoted = PQescapeIdentifier(connection_.get(), name.data(), name.size());
  if (quoted == nullptr) return "\"\"";
  std::string text = quoted;
  PQfreemem(quoted);
  return text;
}

}  // namespace oasync::terminal
