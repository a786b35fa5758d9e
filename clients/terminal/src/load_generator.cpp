#include "load_generator.h"

#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cinttypes>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace oasync::terminal {
namespace {

constexpr size_t kWholeBytes = 16384;  // a message up to this size is looked at whole
constexpr size_t kTailBytes = 96;      // of a larger one, its end
constexpr size_t kHeaderBytes = 10;    // of a server's frame, at most
constexpr size_t kBufferBytes = 262144;

int64_t Now() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return int64_t{t.tv_sec} * 1000000000 + t.tv_nsec;
}

void SendAll(int fd, std::string_view data) {
  while (!data.empty()) {
    const ssize_t n = send(fd, data.data(), data.size(), MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (n < 0) return;  // closed: the reading side notices
    data.remove_prefix(static_cast<size_t>(n));
  }
}

// One masked frame; the mask is zero, which leaves the payload as it is.
void SendFrame(int fd, int opcode, std::string_view data) {
  std::string frame(1, static_cast<char>(0x80 | opcode));
  if (data.size() < 126) {
    frame.push_back(static_cast<char>(0x80 | data.size()));
  } else {
    frame.push_back(static_cast<char>(0x80 | 126));
    frame.push_back(static_cast<char>(data.size() >> 8));
    frame.push_back(static_cast<char>(data.size()));
  }
  frame.append(4, '\0').append(data);
  SendAll(fd, frame);
}

// The digits need no end: a message's last one is followed by the rest of the buffer.
uint64_t NumberAfter(std::string_view text, std::string_view mark) {
  const size_t at = text.rfind(mark);
  if (at == std::string_view::npos) return 0;
  uint64_t number = 0;
  for (size_t i = at + mark.size(); i < text.size() && text[i] >= '0' && text[i] <= '9'; ++i) {
    number = number * 10 + static_cast<uint64_t>(text[i] - '0');
  }
  return number;
}

// Size of a frame's header, once enough of it is there; 0 before.
size_t HeaderSize(std::string_view bytes, uint64_t* length) {
  if (bytes.size() < 2) return 0;
  *length = static_cast<unsigned char>(bytes[1]) & 0x7F;
  const size_t extra = *length == 126 ? 2 : *length == 127 ? 8 : 0;
  if (bytes.size() < 2 + extra) return 0;
  if (extra > 0) *length = 0;
  for (size_t i = 0; i < extra; ++i) *length = *length << 8 | static_cast<unsigned char>(bytes[2 + i]);
  return 2 + extra;
}

}  // namespace

LoadGenerator::LoadGenerator(LoadScript script, const sockaddr_in& server)
    : script_(std::move(script)),
      server_(server),
      resumes_(script_.hello.find("resume_after") != std::string::npos),
      connections_(script_.connections),
      buffer_(kBufferBytes),
      record_(nullptr, &fclose) {}

LoadGenerator::~LoadGenerator() {
  for (const Connection& c : connections_) {
    if (c.state != State::kNew && c.state != State::kClosed) close(c.fd);
  }
  if (poller_ >= 0) close(poller_);
}

void LoadGenerator::Fail(const std::string& what) {
  if (error_.empty()) error_ = what;
}

void LoadGenerator::FailCall(const char* what) { Fail(std::string(what) + ": " + std::strerror(errno)); }

std::string LoadGenerator::Begin() {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  if (!script_.record.empty()) {
    record_.reset(fopen(script_.record.c_str(), "wb"));
    if (!record_) FailCall(script_.record.c_str());
  }
  poller_ = epoll_create1(EPOLL_CLOEXEC);
  if (poller_ < 0) FailCall("epoll_create1");
  return error_;
}

void LoadGenerator::OnSubscribed(Connection* c) {
  c->state = State::kSubscribed;
  --under_way_;
  ++subscribed_;
}

// `end` is the message, or the last bytes of it.
void LoadGenerator::OnMessage(Connection* c, std::string_view end, int64_t now) {
  if (c->state == State::kJoining) {
    if (end.find(script_.ready) != std::string_view::npos) OnSubscribed(c);
    return;
  }
  ++totals_.frames;
  if (script_.counts_watermarks) {
    const std::string_view tail = end.substr(end.size() - std::min(end.size(), kTailBytes));
    const uint64_t through = NumberAfter(tail, "\"through_watermark\":");
    if (through == 0) return;  // no batch
    const uint64_t after = NumberAfter(tail, "\"after_watermark\":");
    if ((c->through != 0 || resumes_) && after != c->through) ++totals_.gaps;
    c->through = through;
    totals_.deliveries += through - after;
  } else {
    ++totals_.deliveries;
  }
  if (script_.stamp.empty()) return;
  const uint64_t sent = NumberAfter(end, script_.stamp);
  if (sent == 0) return;
  const int64_t late_ns = std::max<int64_t>(0, now - static_cast<int64_t>(sent));
  totals_.latencies_us.push_back(static_cast<uint32_t>(late_ns / 1000));
}

// Takes whole frames from the front of `data`; what is left is unfinished.
std::string_view LoadGenerator::TakeFrames(Connection* c, std::string_view data, int64_t now) {
  while (!data.empty()) {
    if (c->skip > 0) {
      const size_t n = std::min<uint64_t>(c->skip, data.size());
      c->skip -= n;
      data.remove_prefix(n);
      continue;
    }
    if (c->large) {  // only its end is missing
      if (data.size() < kTailBytes) return data;
      OnMessage(c, data.substr(0, kTailBytes), now);
      data.remove_prefix(kTailBytes);
      c->large = false;
      continue;
    }
    uint64_t length = 0;
    const size_t header = HeaderSize(data, &length);
    if (header == 0) return data;
    if (length > kWholeBytes) {
      c->large = true;
      c->skip = length - kTailBytes;
      data.remove_prefix(header);
      continue;
    }
    if (data.size() < header + length) return data;
    const int opcode = data[0] & 0x0F;
    const std::string_view payload = data.substr(header, length);
    if (opcode == 9) SendFrame(c->fd, 10, payload);
    if (opcode <= 2) OnMessage(c, payload, now);
    data.remove_prefix(header + length);
  }
  return data;
}

void LoadGenerator::Close(Connection* c) {
  close(c->fd);
  if (c->state != State::kSubscribed) --under_way_;
  c->state = State::kClosed;
  ++closed_;
}

std::string_view LoadGenerator::TakeUpgrade(Connection* c, std::string_view data) {
  const size_t end = data.find("\r\n\r\n");
  if (end == std::string_view::npos) {
    if (data.size() > kWholeBytes) Fail("upgrade refused: the answer does not end");
    return data;
  }
  if (data.size() < 12 || data.substr(9, 3) != "101") {
    Fail("upgrade refused: " + std::string(data.substr(0, data.find("\r\n"))));
    return {};
  }
  const std::string hello = script_.For(script_.hello, NumberOf(c));
  if (!hello.empty()) SendFrame(c->fd, 1, hello);
  c->state = State::kJoining;
  if (script_.ready.empty()) OnSubscribed(c);
  return data.substr(end + 4);
}

// How much to read at once, behind what is pending, which is at most a whole message: what fits into the buffer; of a
// stream of large messages no more than the end of one and the header of the next.
size_t LoadGenerator::Wanted(const Connection& c) const {
  const size_t room = buffer_.size() - c.pending.size();
  return c.large ? std::min(room, static_cast<size_t>(c.skip) + kTailBytes + kHeaderBytes - c.pending.size()) : room;
}

void LoadGenerator::OnReadable(Connection* c) {
  for (int turn = 0; turn < 16 && error_.empty(); ++turn) {
    const bool discard = c->skip > 4096 && !record_;
    const size_t wanted = discard ? c->skip : Wanted(*c);
    const size_t kept = discard ? 0 : c->pending.size();
    const ssize_t n = discard ? recv(c->fd, nullptr, wanted, MSG_DONTWAIT | MSG_TRUNC)
                              : recv(c->fd, buffer_.data() + kept, wanted, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) return Close(c);
    if (c->state >= State::kJoining) totals_.bytes += static_cast<uint64_t>(n);
    if (discard) {
      c->skip -= static_cast<uint64_t>(n);
    } else {
      if (record_ && c == connections_.data() && c->state == State::kSubscribed) {
        fwrite(buffer_.data() + kept, 1, static_cast<size_t>(n), record_.get());
      }
      memcpy(buffer_.data(), c->pending.data(), kept);
      std::string_view data(buffer_.data(), kept + static_cast<size_t>(n));
      if (c->state == State::kUpgrading) data = TakeUpgrade(c, data);
      if (c->state >= State::kJoining) data = TakeFrames(c, data, Now());
      c->pending.assign(data);
      if (c->pending.empty() && c->pending.capacity() > 15) std::string().swap(c->pending);
    }
    if (static_cast<size_t>(n) < wanted) return;  // nothing more for now: saves a call that says so
  }
}

void LoadGenerator::Watch(Connection* c, uint32_t events, int operation) {
  epoll_event watch{};
  watch.events = events;
  watch.data.ptr = c;
  if (epoll_ctl(poller_, operation, c->fd, &watch) != 0) FailCall("epoll_ctl");
}

void LoadGenerator::Open(Connection* c, size_t number) {
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (c->fd < 0) return FailCall("socket");
  const int on = 1;
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  if (ntohl(server_.sin_addr.s_addr) >> 24 == 127) {
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    sockaddr_in source{};
    source.sin_family = AF_INET;
    const size_t place = number % std::max<size_t>(script_.sources, 1);
    source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + static_cast<uint32_t>(place));
    if (bind(c->fd, reinterpret_cast<sockaddr*>(&source), sizeof(source)) != 0) return FailCall("bind");
  }
  c->state = State::kConnecting;
  ++under_way_;
  if (connect(c->fd, reinterpret_cast<const sockaddr*>(&server_), sizeof(server_)) != 0 && errno != EINPROGRESS) {
    return FailCall("connect");
  }
  Watch(c, EPOLLOUT, EPOLL_CTL_ADD);
}

void LoadGenerator::SendUpgrade(Connection* c) {
  int error = 0;
  socklen_t size = sizeof(error);
  getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) {
    errno = error;
    return FailCall("connect");
  }
  std::string request = "GET " + script_.For(script_.target, NumberOf(c)) +
                        " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
  if (!script_.protocol.empty()) request += "Sec-WebSocket-Protocol: " + script_.protocol + "\r\n";
  if (!script_.extensions.empty()) request += "Sec-WebSocket-Extensions: " + script_.extensions + "\r\n";
  if (!script_.authorization.empty()) request += "Authorization: " + script_.authorization + "\r\n";
  c->state = State::kUpgrading;
  Watch(c, EPOLLIN, EPOLL_CTL_MOD);
  SendAll(c->fd, request + "\r\n");
}

std::string LoadGenerator::Report() {
  if (record_) fflush(record_.get());
  auto& l = totals_.latencies_us;
  std::sort(l.begin(), l.end());
  const auto quantile = [&](double q) {
    return l.empty() ? 0.0 : l[std::min(l.size() - 1, static_cast<size_t>(q * static_cast<double>(l.size())))] / 1000.0;
  };
  std::array<char, 400> text;
  snprintf(text.data(), text.size(),
           "{\"deliveries\":%" PRIu64 ",\"frames\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"gaps\":%" PRIu64
           ",\"closed\":%zu,\"stamps\":%zu,\"p50\":%.3f,\"p99\":%.3f,\"max\":%.3f}",
           totals_.deliveries, totals_.frames, totals_.bytes, totals_.gaps, closed_, l.size(), quantile(0.5),
           quantile(0.99), quantile(1));
  return text.data();
}

bool LoadGenerator::Turn(int timeout_ms, int fd) {
  if (fd != watched_fd_) {
    epoll_event watch{};
    watch.events = EPOLLIN;
    epoll_ctl(poller_, EPOLL_CTL_ADD, fd, &watch);
    watched_fd_ = fd;
  }
  while (error_.empty() && opened_ < connections_.size() && under_way_ < script_.every) {
    Open(&connections_[opened_], opened_);
    ++opened_;
  }
  if (!error_.empty()) return false;
  std::array<epoll_event, 512> events;
  const int n = epoll_wait(poller_, events.data(), events.size(), timeout_ms);
  bool readable = false;
  for (int i = 0; i < n && error_.empty(); ++i) {
    auto* c = static_cast<Connection*>(events[static_cast<size_t>(i)].data.ptr);
    if (c == nullptr) {
      readable = true;
    } else if (c->state == State::kConnecting) {
      SendUpgrade(c);
    } else if (c->state != State::kClosed) {
      OnReadable(c);
    }
  }
  return readable;
}

}  // namespace oasync::terminal
