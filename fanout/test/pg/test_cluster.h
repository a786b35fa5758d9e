// TestCluster: a private PostgreSQL server in a temporary directory, reached by its Unix socket only.
//
// As root the server runs as user postgres. Failures throw: a test without its server has nothing to say.
#pragma once

#include <libpq-fe.h>
#include <sys/types.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace oasync::pgtest {

class TestCluster {
 public:
  // Makes and starts a cluster; `settings` are lines for postgresql.conf.
  explicit TestCluster(const std::vector<std::string>& settings = {});
  ~TestCluster();
  TestCluster(const TestCluster&) = delete;
  TestCluster& operator=(const TestCluster&) = delete;

  std::string conninfo() const;
  void Start();
  // Signals the postmaster and waits for its end: SIGINT fast, SIGQUIT immediate, SIGKILL crash.
  void Stop(int signal);

  // Runs SQL over a connection of its own; the first column of the rows.
  std::vector<std::string> Sql(const std::string& sql) const;
  std::string Value(const std::string& sql) const;
  // Signals one backend.
  void Kill(pid_t backend, int signal) const;

 private:
  std::string Path(const std::string& name) const { return directory_ + "/" + name; }

  std::string directory_;
  pid_t postmaster_ = 0;
};

// A connection that stays open between statements.
class TestSession {
 public:
  explicit TestSession(const std::string& conninfo);
  // Runs statements; throws on an error. The first column of the last result's rows.
  std::vector<std::string> Run(const std::string& sql);

 private:
  struct Finish {
    void operator()(PGconn* conn) const { PQfinish(conn); }
  };
  std::unique_ptr<PGconn, Finish> conn_;
};

// Looks at a condition every few milliseconds until it holds; false when it has not within `limit`.
bool Eventually(const std::function<bool()>& condition, std::chrono::seconds limit = std::chrono::seconds(30));

// Whether the extension is installed on this machine.
bool ExtensionInstalled();

}  // namespace oasync::pgtest
