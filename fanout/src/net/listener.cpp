#include "net/listener.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace oasync {
namespace {

constexpr double kPauseSeconds = 0.1;
constexpr int kAcceptsAtOnce = 64;  // then the loop serves others

int Bind(const addrinfo& address, uint32_t backlog, bool shared) {
  const int fd = socket(address.ai_family, address.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, address.ai_protocol);
  if (fd < 0) return -1;
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (shared) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
  if (bind(fd, address.ai_addr, address.ai_addrlen) == 0 && listen(fd, static_cast<int>(backlog)) == 0) return fd;
  const int error = errno;
  close(fd);
  errno = error;
  return -1;
}

uint16_t BoundPort(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&address)->sin6_port
                                             : reinterpret_cast<sockaddr_in*>(&address)->sin_port);
}

}  // namespace

int OpenListeningSocket(const std::string& host, uint16_t* port, uint32_t backlog, bool shared, std::string* error) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int failure = getaddrinfo(host.c_str(), std::to_string(*port).c_str(), &hints, &found);
  if (failure != 0) {
    *error = "cannot resolve " + host + ": " + gai_strerror(failure);
    return -1;
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> addresses(found, &freeaddrinfo);
  const int fd = Bind(*addresses, backlog, shared);
  if (fd < 0) {
    *error = "cannot listen on " + host + ":" + std::to_string(*port) + ": " + std::strerror(errno);
    return -1;
  }
  *port = BoundPort(fd);
  return fd;
}

Listener::Listener(struct ev_loop* loop, int fd, std::function<void(int)> accepted, std::function<void(int)> failed)
    : loop_(loop), fd_(fd), accepted_(std::move(accepted)), failed_(std::move(failed)) {
  ev_io_init(&readable_, &Listener::OnReadable, fd_, EV_READ);
  ev_timer_init(&pause_, &Listener::OnPauseOver, kPauseSeconds, 0.);
  readable_.data = this;
  pause_.data = this;
}

Listener::~Listener() { Stop(); }

void Listener::Start() { ev_io_start(loop_, &readable_); }

void Listener::Stop() {
  if (fd_ < 0) return;
  ev_io_stop(loop_, &readable_);
  ev_timer_stop(loop_, &pause_);
  close(fd_);
  fd_ = -1;
}

void Listener::OnReadable(struct ev_loop*, ev_io* watcher, int) { static_cast<Listener*>(watcher->data)->AcceptSome(); }

void Listener::OnPauseOver(struct ev_loop*, ev_timer* watcher, int) { static_cast<Listener*>(watcher->data)->Start(); }

void Listener::AcceptSome() {
  for (int i = 0; i < kAcceptsAtOnce; ++i) {
    const int fd = accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      const int on = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
      accepted_(fd);
      continue;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) return;
    if (errno == EINTR || errno == ECONNABORTED) continue;
    failed_(errno);
    ev_io_stop(loop_, &readable_);
    ev_timer_set(&pause_, kPauseSeconds, 0.);
    ev_timer_start(loop_, &pause_);
    return;
  }
}

}  // namespace oasync
