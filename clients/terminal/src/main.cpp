// oa-sync: OA Sync from a terminal.
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>

#include "bench_command.h"
#include "command_line.h"
#include "completion.h"
#include "doctor_command.h"
#include "exit_code.h"
#include "manual.h"
#include "parity_command.h"
#include "snapshot_command.h"
#include "status_command.h"
#include "stop.h"
#include "tail_command.h"
#include "terminal.h"
#include "token_command.h"

namespace oasync::terminal {
namespace {

int PrintMade(const Options& options) {
  Options unused;
  const auto app = DefineCommandLine(&unused);
  const std::string text = options.command == Command::kManual ? MakeManual(*app) : MakeCompletion(*app, options.shell);
  return fputs(text.c_str(), stdout) < 0 || fflush(stdout) != 0 ? kExitLocalFile : kExitOk;
}

int Run(const Options& options) {
  switch (options.command) {
    case Command::kTail:
      return RunTail(options.common, options.tail);
    case Command::kStatus:
      return RunStatus(options.common, options.status);
    case Command::kSnapshot:
      return RunSnapshot(options.common, options.snapshot);
    case Command::kToken:
      return RunToken(options.common, options.token);
    case Command::kBench:
      return RunBench(options.bench);
    case Command::kDoctor:
      return RunDoctor(options.common, options.doctor);
    case Command::kParity:
      return RunParity(options.common, options.parity);
    case Command::kCompletion:
    case Command::kManual:
      break;
  }
  return PrintMade(options);
}

// A number that was closed by whoever started the program would be given to the next file that is opened: what is
// printed would be written into a lock, or notices into a socket.
bool HasStandardFiles() {
  if (fcntl(STDOUT_FILENO, F_GETFD) < 0) return false;
  for (const int fd : {STDIN_FILENO, STDERR_FILENO}) {
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd) return false;
  }
  return true;
}

int Main(int argc, char** argv) {
  if (!HasStandardFiles()) {
    SayError("standard output is closed: give it somewhere to go, /dev/null if nowhere");
    return kExitLocalFile;
  }
  const CommandLineResult read = ReadCommandLine(argc, argv);
  if (!read.options) {
    if (read.exit_code == kExitOk) {
      fputs(read.message.c_str(), stdout);
    } else {
      SayError(read.message);
    }
    return read.exit_code;
  }
  CatchSignals();
  // libwebsockets would send WebSockets by it, without asking for which hosts, and HTTP here knows no proxies.
  unsetenv("http_proxy");
  return Run(*read.options);
}

}  // namespace
}  // namespace oasync::terminal

int main(int argc, char** argv) {
  try {
    return oasync::terminal::Main(argc, argv);
  } catch (const std::exception& failure) {
    fprintf(stderr, "oa-sync: %s\n", failure.what());
    return oasync::terminal::kExitBadAnswer;
  }
}
