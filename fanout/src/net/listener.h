// Listener: one loop's listening socket.
#pragma once

#include <ev.h>

#include <cstdint>
#include <functional>
#include <string>

namespace oasync {

// Opens a listening socket. With `shared`, several may be opened on the same address and the kernel spreads connections
// over them. `*port` is 0 for any free one and is set to the one bound. Returns the descriptor, or -1 and *error.
int OpenListeningSocket(const std::string& host, uint16_t* port, uint32_t backlog, bool shared, std::string* error);

// Accepts on a loop's thread until it is stopped. When the process is out of descriptors it pauses: the connection that
// cannot be taken stays readable, and accepting again at once would turn the loop into a busy one.
class Listener {
 public:
  // Takes over `fd`. `accepted` gets every new descriptor, non-blocking and close-on-exec, and owns it.
  Listener(struct ev_loop* loop, int fd, std::function<void(int)> accepted, std::function<void(int)> failed);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  void Start();
  // Closes the socket. Idempotent.
  void Stop();

 private:
  static void OnReadable(struct ev_loop* loop, ev_io* watcher, int events);
  static void OnPauseOver(struct ev_loop* loop, ev_timer* watcher, int events);
  void AcceptSome();

  struct ev_loop* loop_;
  int fd_;
  std::function<void(int)> accepted_;
  std::function<void(int)> failed_;
  ev_io readable_;
  ev_timer pause_;
};

}  // namespace oasync
