#include "base/service_manager.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace oasync {
namespace {

// It is said once, and a service that was not heard is ended: there may be a queue before the service manager.
constexpr int kReadyPatienceS = 10;

// A variable's value, which goes out of the environment.
std::string Take(const char* name) {
  const char* value = getenv(name);
  std::string taken = value == nullptr ? std::string() : std::string(value);
  unsetenv(name);
  return taken;
}

// One line whatever is in it: a new line would be another variable.
std::string OneLine(std::string_view text) {
  std::string line(text);
  for (char& c : line) {
    if (c == '\n') c = ' ';
  }
  return line;
}

}  // namespace

ServiceManager ServiceManager::FromEnvironment() {
  std::string socket = Take("NOTIFY_SOCKET");
  const std::string interval = Take("WATCHDOG_USEC");
  const std::string pid = Take("WATCHDOG_PID");
  const bool for_us = pid.empty() || pid == std::to_string(getpid());
  return {std::move(socket), !interval.empty() && for_us};
}

void ServiceManager::Ready(std::string_view status) const {
  Send("READY=1\nSTATUS=" + OneLine(status), kReadyPatienceS);
}

void ServiceManager::Alive() const {
  if (wants_alive_) Send("WATCHDOG=1", 0);
}

void ServiceManager::Stopping(int64_t within_ms) const {
  Send("STOPPING=1\nSTATUS=closing connections\nEXTEND_TIMEOUT_USEC=" + std::to_string(within_ms * 1000), 0);
}

void ServiceManager::Send(const std::string& state, int patience_s) const {
  sockaddr_un address{};
  if (socket_.empty() || socket_.size() >= sizeof(address.sun_path)) return;
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, socket_.data(), socket_.size());
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  const timeval patience{patience_s, 0};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  const int flags = patience_s > 0 ? MSG_NOSIGNAL : MSG_NOSIGNAL | MSG_DONTWAIT;
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size());
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): what sockets take
  (void)sendto(fd, state.data(), state.size(), flags, reinterpret_cast<const sockaddr*>(&address), size);
  close(fd);
}

}  // namespace oasync
