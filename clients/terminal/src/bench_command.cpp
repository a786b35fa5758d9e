#include "bench_command.h"

#include <netdb.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <memory>
#include <optional>

#include "base/clock.h"
#include "exit_code.h"
#include "load_generator.h"
#include "phoenix_channel.h"
#include "stop.h"
#include "terminal.h"

namespace oasync::terminal {
namespace {

constexpr char kReady[] = "\"status\":\"ok\"";

std::optional<sockaddr_in> Resolve(const std::string& host, uint16_t port) {
  addrinfo hints{};
  hints.ai_family = AF_INET;  // as the sources are
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) return std::nullopt;
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses(found, &freeaddrinfo);
  return *reinterpret_cast<const sockaddr_in*>(found->ai_addr);
}

// Says one line to whoever reads our output.
void Say(const std::string& line) {
  printf("%s\n", line.c_str());
  fflush(stdout);
}

int Fail(int exit_code, const std::string& why) {
  SayError("bench: " + why);
  return exit_code;
}

// Byte by byte: what follows the script are commands.
std::string ReadScript(LoadScript* script) {
  std::string line;
  for (char c; read(STDIN_FILENO, &c, 1) == 1;) {
    if (c != '\n') {
      line.push_back(c);
      continue;
    }
    if (line.empty()) return {};
    if (std::string error = script->Take(line); !error.empty()) return "script: " + error;
    line.clear();
  }
  return "the script has no end";
}

// Obeys the commands on standard input until its end.
class Scripted {
 public:
  explicit Scripted(LoadGenerator* load) : load_(*load) {}

  int Run() {
    bool said_ready = false;
    while (StopSignal() == 0) {
      const bool readable = load_.Turn(-1, STDIN_FILENO);
      if (!load_.error().empty()) return Fail(kExitCannotConnect, load_.error());
      if (!said_ready && load_.all_subscribed()) {
        said_ready = true;
        Say("ready");
      }
      if (readable && !ReadCommands()) return kExitOk;
      if (wait_for_ != 0 && load_.totals().deliveries >= wait_for_) {
        wait_for_ = 0;
        Say("reached");
      }
    }
    return kExitSignal + StopSignal();
  }

 private:
  void Obey(const std::string& command) {
    if (command.rfind("wait ", 0) == 0) {
      std::from_chars(command.data() + 5, command.data() + command.size(), wait_for_);
    } else if (command == "report") {
      Say(load_.Report());
    } else if (command == "reset") {
      load_.Reset();
      Say("reset");
    }
  }

  // False at the end of the input.
  bool ReadCommands() {
    std::array<char, 4096> chunk;
    const ssize_t n = read(STDIN_FILENO, chunk.data(), chunk.size());
    if (n <= 0) return false;
    input_.append(chunk.data(), static_cast<size_t>(n));
    for (size_t end; (end = input_.find('\n')) != std::string::npos;) {
      Obey(input_.substr(0, end));
      input_.erase(0, end + 1);
    }
    return true;
  }

  LoadGenerator& load_;
  std::string input_;
  uint64_t wait_for_ = 0;
};

int RunScript(const std::string& place) {
  std::string error;
  const auto endpoint = ParseEndpoint("ws://" + place, &error);
  if (!endpoint) return Fail(kExitUsage, "--script: " + error);
  const auto server = Resolve(endpoint->host, endpoint->port);
  if (!server) return Fail(kExitCannotConnect, endpoint->host + ": no such host");
  LoadScript script;
  if (error = ReadScript(&script); !error.empty()) return Fail(kExitUsage, error);
  LoadGenerator load(std::move(script), *server);
  if (error = load.Begin(); !error.empty()) return Fail(kExitLocalFile, error);
  return Scripted(&load).Run();
}

// What the options say, as a script.
LoadScript ScriptOf(const BenchOptions& options, const std::string& token) {
  LoadScript script;
  script.connections = options.connections;
  script.sources = 1 + options.connections / 20000;
  script.target = options.server.endpoint.socket + "?vsn=2.0.0";
  script.authorization = "Bearer " + token;
  script.hello = EncodeRequest(1, "phx_join", {{"client", "oa-sync bench"}, {"topics", Json::array({options.topic})}});
  script.ready = kReady;
  script.counts_watermarks = true;
  script.stamp = options.stamp;
  return script;
}

}  // namespace

int RunBench(const BenchOptions& options) {
  if (!options.script.empty()) return RunScript(options.script);
  const ServerOptions& at = options.server;
  const TokenResult token = TokenSource(at.token, HttpClient(at.endpoint, at.tls, at.timeout_ms)).Get();
  if (token.token.empty()) return Fail(token.exit_code, token.error);
  const auto server = Resolve(at.endpoint.host, at.endpoint.port);
  if (!server) return Fail(kExitCannotConnect, at.endpoint.host + ": no such host");
  LoadGenerator load(ScriptOf(options, token.token), *server);
  if (const std::string error = load.Begin(); !error.empty()) return Fail(kExitLocalFile, error);
  const SystemClock clock;
  int64_t until = 0;  // once all are subscribed
  while (StopSignal() == 0 && (until == 0 || clock.SteadyMs() < until)) {
    const int64_t left = until == 0 ? kLookForStopMs : until - clock.SteadyMs();
    load.Turn(static_cast<int>(std::clamp<int64_t>(left, 0, kLookForStopMs)), -1);
    if (!load.error().empty()) return Fail(kExitCannotConnect, load.error());
    if (until != 0) continue;
    if (load.closed() > 0) return Fail(kExitProblem, "a subscriber was closed before all were subscribed");
    if (!load.all_subscribed()) continue;
    load.Reset();
    until = clock.SteadyMs() + static_cast<int64_t>(options.seconds * 1000);
  }
  if (until == 0) return kExitSignal + StopSignal();
  Say(load.Report());
  return load.closed() > 0 || load.totals().gaps > 0 ? kExitProblem : kExitOk;
}

}  // namespace oasync::terminal
