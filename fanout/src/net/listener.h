// Listener: one loop's listening socket.
#pragma once

#include <ev.h>

#include <cstdint>
#include <functional>
#include <string>

#include "net/address.h"

namespace oasync {

// Opens a listening socket. With `shared`, several may be opened on the same address and the kernel spreads connections
// over them. `*port` is 0 for any free one and is set to the one bound. Returns the descriptor, or -1 and *error.
int OpenListeningSocket(const std::string& host, uint16_t* port, uint32_t backlog, bool shared, std::string* error);

// Accepts on a loop's thread until it is stopped. When the process is out of descriptors newcomers are turned away at
// once, with the help of a descriptor kept in reserve, instead of being left to wait in the kernel's queue. Should even
// that fail it pauses: the connection that cannot be taken stays readable, and accepting again at once would turn the
// loop into a busy one.
class Listener {
 public:
  using Accepted = std::function<void(int fd, const IpAddress& peer)>;
  // Takes over `fd`. `accepted` gets every new descriptor, non-blocking and close-on-exec, and owns it; `failed` the
  // error of each connection that was not taken.
  Listener(struct ev_loop* loop, int fd, Accepted accepted, std::function<void(int)> failed);
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
  // Frees the reserve for one connection, and closes that. False when it could not be had.
  bool TurnAway();

  struct ev_loop* loop_;
  int fd_;
  Accepted accepted_;
  std::function<void(int)> failed_;
  ev_io readable_;
  ev_timer pause_;
  int reserve_;  // a descriptor of no use but to be closed
};

}  // namespace oasync
