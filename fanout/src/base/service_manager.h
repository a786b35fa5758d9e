// What a service manager is told of this process, as systemd's sd_notify(3) says: datagrams to the socket that
// NOTIFY_SOCKET names. Without one, nothing is sent to anybody.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace oasync {

class ServiceManager {
 public:
  // `socket`: a path, or an abstract name after '@'; empty: nobody. `wants_alive`: Alive() is listened to.
  ServiceManager(std::string socket, bool wants_alive) : socket_(std::move(socket)), wants_alive_(wants_alive) {}

  // Takes NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of the environment. To be called before the first thread.
  static ServiceManager FromEnvironment();

  // Connections are accepted. `status` is one line for who looks. Waits for a busy service manager, some seconds.
  void Ready(std::string_view status) const;
  // All is well: to be repeated in less than the time that the service manager has set.
  void Alive() const;
  // The end has begun, and takes no longer than `within_ms`.
  void Stopping(int64_t within_ms) const;

 private:
  // Waits `patience_s` at most; 0: not at all. What does not go out is lost: the service manager's own time-outs are
  // for that.
  void Send(const std::string& state, int patience_s) const;

  std::string socket_;
  bool wants_alive_;
};

}  // namespace oasync
