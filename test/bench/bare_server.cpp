// What the fan-out's delivery is compared with: a bare epoll loop that sends WebSocket frames, and does nothing else.
//
//   bare_server
//
// Listens on a free port of 127.0.0.1 and says `port N`. Accepts any upgrade. Obeys commands on standard input, each
// for all connections there are, and says `done` after it:
//   send COUNT BYTES        COUNT messages of BYTES, one send() for each of them and each connection
//   own COUNT BYTES         the same, but every message is made for its connection alone, as for a topic of its own
//   pace COUNT BYTES RATE   the same as send, RATE a second; the time of sending stands in the message as "t":ns
//   replay FILE TIMES       the recorded frames of FILE, TIMES over, all that is pending in one writev()
//   idle                    nothing, once all who connected are upgraded
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr size_t kVectors = 64;  // frames in one writev

struct Connection {
  int fd = -1;
  uint32_t next = 0;    // frame to send
  uint32_t offset = 0;  // sent of it
  bool upgraded = false;
  bool blocked = false;  // no room in the socket
};

std::vector<Connection> connections;
int poller = -1;

[[noreturn]] void Fail(const char* what) {
  fprintf(stderr, "bare_server: %s: %s\n", what, strerror(errno));
  exit(1);
}

void Say(const std::string& line) {
  printf("%s\n", line.c_str());
  fflush(stdout);
}

int64_t Now() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return int64_t{t.tv_sec} * 1000000000 + t.tv_nsec;
}

std::string FrameOf(size_t size, std::string_view start) {
  std::string frame(1, static_cast<char>(0x81));
  if (size < 126) {
    frame.push_back(static_cast<char>(size));
  } else {
    frame.push_back(126);
    frame.push_back(static_cast<char>(size >> 8));
    frame.push_back(static_cast<char>(size));
  }
  frame.append(start);
  frame.resize(frame.size() - start.size() + size, 'x');
  return frame;
}

void Watch(Connection* c, uint32_t events, int operation) {
  epoll_event watch{};
  watch.events = events;
  watch.data.u64 = static_cast<uint64_t>(c - connections.data()) + 2;
  if (epoll_ctl(poller, operation, c->fd, &watch) != 0) Fail("epoll_ctl");
}

void Accept(int listener) {
  for (;;) {
    const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    connections.push_back({fd});
    Watch(&connections.back(), EPOLLIN, EPOLL_CTL_ADD);
  }
}

// The request comes in one piece, on this machine and from this client; its key is always the same.
void OnReadable(Connection* c) {
  std::array<char, 16384> request;
  const ssize_t n = recv(c->fd, request.data(), request.size(), 0);
  if (n == 0 || (n < 0 && errno != EAGAIN)) {
    close(c->fd);
    c->fd = -1;
    return;
  }
  if (n < 0 || c->upgraded) return;
  c->upgraded = true;
  constexpr std::string_view kAnswer =
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
  if (send(c->fd, kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL) < 0) Fail("answer");
}

// Serves what there is, waiting at most `timeout_ms` for it.
void Poll(int listener, int timeout_ms, bool* input) {
  std::array<epoll_event, 512> events;
  const int n = epoll_wait(poller, events.data(), events.size(), timeout_ms);
  for (int i = 0; i < n; ++i) {
    const epoll_event& event = events[static_cast<size_t>(i)];
    if (event.data.u64 == 0) {
      *input = true;
    } else if (event.data.u64 == 1) {
      Accept(listener);
    } else {
      Connection* c = &connections[event.data.u64 - 2];
      if ((event.events & EPOLLOUT) != 0 && c->blocked) {
        c->blocked = false;
        Watch(c, EPOLLIN, EPOLL_CTL_MOD);
      }
      if ((event.events & ~static_cast<uint32_t>(EPOLLOUT)) != 0) OnReadable(c);
    }
  }
}

// True if all was taken.
bool Advance(Connection* c, ssize_t sent, const std::vector<std::string>& frames) {
  auto left = static_cast<size_t>(std::max<ssize_t>(sent, 0));
  while (left > 0) {
    const size_t rest = frames[c->next % frames.size()].size() - c->offset;
    if (left < rest) {
      c->offset += static_cast<uint32_t>(left);
      break;
    }
    left -= rest;
    c->offset = 0;
    ++c->next;
  }
  return sent >= 0;
}

void Block(Connection* c) {
  c->blocked = true;
  Watch(c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
}

// One message, one system call.
void SendOne(Connection* c, const std::vector<std::string>& frames) {
  const std::string& frame = frames[c->next % frames.size()];
  const size_t rest = frame.size() - c->offset;
  const ssize_t n = send(c->fd, frame.data() + c->offset, rest, MSG_NOSIGNAL);
  Advance(c, n, frames);
  if (n < static_cast<ssize_t>(rest)) Block(c);
}

// All that is pending, one system call.
void SendMany(Connection* c, const std::vector<std::string>& frames, uint32_t count) {
  std::array<iovec, kVectors> vectors;
  size_t used = 0;
  size_t offset = c->offset;
  size_t bytes = 0;
  for (uint32_t i = c->next; i < count && used < kVectors; ++i, offset = 0) {
    const std::string& frame = frames[i % frames.size()];
    vectors[used++] = {const_cast<char*>(frame.data()) + offset, frame.size() - offset};
    bytes += frame.size() - offset;
  }
  msghdr message{};
  message.msg_iov = vectors.data();
  message.msg_iovlen = used;
  const ssize_t n = sendmsg(c->fd, &message, MSG_NOSIGNAL);
  Advance(c, n, frames);
  if (n < static_cast<ssize_t>(bytes)) Block(c);
}

// Sends frames until every connection has had `count`.
template <typename Send>
void Deliver(int listener, uint32_t count, Send send_some) {
  bool input = false;
  for (Connection& c : connections) c.next = c.offset = 0;
  for (bool more = true; more;) {
    more = false;
    bool all_blocked = true;
    for (Connection& c : connections) {
      if (c.fd < 0 || c.next >= count) continue;
      more = true;
      if (c.blocked) continue;
      all_blocked = false;
      send_some(&c);
    }
    if (more) Poll(listener, all_blocked ? -1 : 0, &input);
  }
}

void Pace(int listener, uint32_t count, size_t size, double rate) {
  bool input = false;
  const int64_t start = Now();
  for (uint32_t i = 0; i < count; ++i) {
    const int64_t at = start + static_cast<int64_t>(i * 1e9 / rate);
    for (int64_t wait; (wait = at - Now()) > 0;) Poll(listener, static_cast<int>((wait + 999999) / 1000000), &input);
    const std::vector<std::string> frame{FrameOf(size, "{\"t\":" + std::to_string(Now()) + "}")};
    Deliver(listener, 1, [&](Connection* c) { SendOne(c, frame); });
  }
}

// The messages of a topic of its own are in no other connection's cache lines.
void SendOwn(int listener, uint32_t count, size_t size) {
  std::vector<std::vector<std::string>> frames;
  for (size_t i = 0; i < connections.size(); ++i) frames.push_back({FrameOf(size, std::to_string(i))});
  Deliver(listener, count, [&](Connection* c) {
    auto& own = frames[static_cast<size_t>(c - connections.data())];
    if (c->offset == 0) own[0] = FrameOf(size, std::to_string(c->next));
    SendOne(c, own);
  });
}

std::vector<std::string> ReadFrames(const std::string& path) {
  FILE* file = fopen(path.c_str(), "rb");
  if (file == nullptr) Fail(path.c_str());
  std::string all;
  std::array<char, 65536> chunk;
  for (size_t n; (n = fread(chunk.data(), 1, chunk.size(), file)) > 0;) all.append(chunk.data(), n);
  fclose(file);
  std::vector<std::string> frames;
  for (size_t at = 0; at + 10 <= all.size();) {
    const auto byte = [&](size_t i) { return static_cast<uint64_t>(static_cast<unsigned char>(all[at + i])); };
    uint64_t length = byte(1) & 0x7F;
    const size_t extra = length == 126 ? 2 : length == 127 ? 8 : 0;
    if (extra > 0) length = 0;
    for (size_t i = 0; i < extra; ++i) length = length << 8 | byte(2 + i);
    if (at + 2 + extra + length > all.size()) break;  // cut off by the end of the recording
    frames.push_back(all.substr(at, 2 + extra + length));
    at += 2 + extra + length;
  }
  return frames;
}

void Obey(int listener, const std::string& line) {
  std::istringstream words(line);
  std::string command;
  words >> command;
  if (command == "replay") {
    std::string path;
    uint32_t times = 0;
    words >> path >> times;
    const std::vector<std::string> frames = ReadFrames(path);
    const auto count = static_cast<uint32_t>(frames.size() * times);
    Deliver(listener, count, [&](Connection* c) { SendMany(c, frames, count); });
  } else {
    uint32_t count = 0;
    size_t size = 0;
    double rate = 0;
    words >> count >> size >> rate;
    const std::vector<std::string> frames{FrameOf(size, "{}")};
    if (command == "send") Deliver(listener, count, [&](Connection* c) { SendOne(c, frames); });
    if (command == "own") SendOwn(listener, count, size);
    if (command == "pace") Pace(listener, count, size, rate);
  }
  Say("done");
}

int Listen() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(fd, 4096) != 0) Fail("listen");
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  Say("port " + std::to_string(ntohs(address.sin_port)));
  return fd;
}

}  // namespace

int main() {
  poller = epoll_create1(EPOLL_CLOEXEC);
  const int listener = Listen();
  epoll_event watch{};
  watch.events = EPOLLIN;
  epoll_ctl(poller, EPOLL_CTL_ADD, STDIN_FILENO, &watch);
  watch.data.u64 = 1;
  epoll_ctl(poller, EPOLL_CTL_ADD, listener, &watch);
  std::string pending;
  for (;;) {
    bool input = false;
    Poll(listener, -1, &input);
    if (!input) continue;
    std::array<char, 4096> chunk;
    const ssize_t n = read(STDIN_FILENO, chunk.data(), chunk.size());
    if (n <= 0) return 0;
    pending.append(chunk.data(), static_cast<size_t>(n));
    for (size_t end; (end = pending.find('\n')) != std::string::npos; pending.erase(0, end + 1)) {
      Obey(listener, pending.substr(0, end));
    }
  }
}
