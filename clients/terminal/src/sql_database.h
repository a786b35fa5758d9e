// Database (not to be taken for the fan-out's database.h): one libpq connection for a few questions.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

struct pg_conn;

namespace oasync::terminal {

// A row's values; null ones are nothing.
using DatabaseRow = std::vector<std::optional<std::string>>;

struct DatabaseResult {
  std::vector<DatabaseRow> rows;
  std::string error;     // empty when it went well; one line
  std::string sqlstate;  // of the error

  bool ok() const { return error.empty(); }
  bool denied() const { return sqlstate == "42501"; }
  // The value of the first row, or what is given when there is none or it is null.
  std::string Text(size_t column, const std::string& otherwise = {}) const;
  int64_t Integer(size_t column) const;
  bool IsTrue(size_t column) const { return Text(column) == "t"; }
};

// One thread's.
class Database {
 public:
  Database();

  // Empty when connected, else why not, without secrets. At most five seconds for each host, unless it says otherwise.
  // `name` is what the server's activity shows.
  std::string Connect(const std::string& conninfo, const char* name = "oa-sync doctor");
  // A statement that takes at most ten seconds.
  DatabaseResult Query(const std::string& sql, const std::vector<std::string>& parameters = {});
  // A text as an identifier.
  std::string Identifier(const std::string& name) const;

 private:
  std::unique_ptr<pg_conn, void (*)(pg_conn*)> connection_;
};

}  // namespace oasync::terminal
