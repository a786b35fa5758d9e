#include "stop.h"

#include <csignal>

namespace oasync::terminal {
namespace {

volatile std::sig_atomic_t stop_signal = 0;

extern "C" void OnSignal(int number) {
  if (stop_signal != 0) {
    std::signal(number, SIG_DFL);
    std::raise(number);
    return;
  }
  stop_signal = number;
}

}  // namespace

void CatchSignals() {
  std::signal(SIGPIPE, SIG_IGN);
  struct sigaction action {};
  action.sa_handler = OnSignal;  // without SA_RESTART: waits end
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

int StopSignal() { return stop_signal; }

}  // namespace oasync::terminal
