#include "test_cluster.h"

#include <fcntl.h>
#include <pwd.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <thread>

extern char** environ;

namespace oasync::pgtest {

namespace {

// A directory of the installation that $PG_CONFIG, or the pg_config in PATH, belongs to.
std::string Directory(const std::string& which) {
  const char* program = std::getenv("PG_CONFIG");
  const std::string command = std::string(program == nullptr ? "pg_config" : program) + " --" + which;
  const std::unique_ptr<FILE, int (*)(FILE*)> output(popen(command.c_str(), "r"), pclose);
  std::string line(4096, '\0');
  if (output == nullptr || std::fgets(line.data(), static_cast<int>(line.size()), output.get()) == nullptr) {
    throw std::runtime_error("no answer of " + command);
  }
  line.resize(line.find_first_of(std::string("\n\0", 2)));
  return line + "/";
}

std::string Program(const std::string& name) { return Directory("bindir") + name; }

// Starts a program as the server's user, output appended to `log`.
pid_t Spawn(std::vector<std::string> arguments, const std::string& log) {
  // Whatever ends the test ends the server.
  std::vector<std::string> prefix = {"setpriv", "--pdeathsig=QUIT"};
  if (geteuid() == 0) prefix.insert(prefix.end(), {"--reuid=postgres", "--regid=postgres", "--init-groups"});
  prefix.push_back("--");
  arguments.insert(arguments.begin(), prefix.begin(), prefix.end());
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (auto& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  pid_t pid = 0;
  const int failed = posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) throw std::runtime_error("cannot start " + arguments[0]);
  return pid;
}

// The end of a file.
std::string Tail(const std::string& path) {
  std::ifstream in(path);
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  return text.size() > 4000 ? text.substr(text.size() - 4000) : text;
}

// Later minor versions load only output plugins that are listed.
bool PluginsAreListed() {
  std::ifstream in(Directory("sharedir") + "postgresql.conf.sample");
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  return text.find("output_plugin_libraries") != std::string::npos;
}

int WaitFor(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

std::vector<std::string> FirstColumn(PGconn* conn, const std::string& sql) {
  const std::unique_ptr<PGresult, void (*)(PGresult*)> result(PQexec(conn, sql.c_str()), PQclear);
  const ExecStatusType status = PQresultStatus(result.get());
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
    throw std::runtime_error(sql + ": " + PQerrorMessage(conn));
  }
  std::vector<std::string> rows;
  for (int i = 0; i < PQntuples(result.get()) && PQnfields(result.get()) > 0; ++i) {
    rows.emplace_back(PQgetvalue(result.get(), i, 0));
  }
  return rows;
}

}  // namespace

TestCluster::TestCluster(const std::vector<std::string>& settings) {
  std::string pattern = (std::filesystem::temp_directory_path() / "oapgXXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
  directory_ = pattern;
  if (geteuid() == 0) {
    const passwd* user = getpwnam("postgres");
    if (user == nullptr || chown(directory_.c_str(), user->pw_uid, user->pw_gid) != 0) {
      throw std::runtime_error("no user postgres to run the server as");
    }
  }
  const int status = WaitFor(Spawn(
      {Program("initdb"), "-D", Path("data"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"},
      Path("initdb.log")));
  if (status != 0) throw std::runtime_error("initdb failed:\n" + Tail(Path("initdb.log")));
  std::ofstream config(Path("data/postgresql.conf"), std::ios::app);
  config << "listen_addresses = ''\nunix_socket_directories = '" << directory_
         << "'\nwal_level = logical\nshared_buffers = 32MB\nfsync = off\nmax_connections = 60\n"
            "autovacuum = off\nlog_min_messages = warning\n";
  if (PluginsAreListed()) config << "output_plugin_libraries = 'oa_sync'\n";
  for (const auto& line : settings) config << line << "\n";
  config.close();
  Start();
}

TestCluster::~TestCluster() {
  if (postmaster_ != 0) Stop(SIGQUIT);
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

std::string TestCluster::conninfo() const { return "host=" + directory_ + " user=postgres dbname=postgres"; }

void TestCluster::Start() {
  postmaster_ = Spawn({Program("postgres"), "-D", Path("data")}, Path("server.log"));
  const bool ready = Eventually([this] {
    if (waitpid(postmaster_, nullptr, WNOHANG) == postmaster_) {
      // After a crash the shared memory is in use until the last old backend has noticed.
      postmaster_ = Spawn({Program("postgres"), "-D", Path("data")}, Path("server.log"));
    }
    return PQping(conninfo().c_str()) == PQPING_OK;
  });
  if (!ready) throw std::runtime_error("the server did not start:\n" + Tail(Path("server.log")));
}

void TestCluster::Stop(int signal) {
  kill(postmaster_, signal);
  WaitFor(postmaster_);
  postmaster_ = 0;
}

std::vector<std::string> TestCluster::Sql(const std::string& sql) const { return TestSession(conninfo()).Run(sql); }

std::string TestCluster::Value(const std::string& sql) const {
  const auto rows = Sql(sql);
  return rows.empty() ? std::string() : rows.front();
}

void TestCluster::Kill(pid_t backend, int signal) const { kill(backend, signal); }

// A statement that hangs is an error, not a test that hangs.
TestSession::TestSession(const std::string& conninfo)
    : conn_(PQconnectdb((conninfo + " options='-c statement_timeout=30s'").c_str())) {
  if (PQstatus(conn_.get()) != CONNECTION_OK) throw std::runtime_error(PQerrorMessage(conn_.get()));
  PQsetNoticeProcessor(
      conn_.get(), [](void*, const char*) {}, nullptr);
}

std::vector<std::string> TestSession::Run(const std::string& sql) { return FirstColumn(conn_.get(), sql); }

bool Eventually(const std::function<bool()>& condition, std::chrono::seconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

bool ExtensionInstalled() { return std::filesystem::exists(Directory("sharedir") + "extension/oa_sync.control"); }

}  // namespace oasync::pgtest
