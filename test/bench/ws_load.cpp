// The fan-out benches' subscribers: many WebSocket clients in one light process.
//
//   ws_load HOST PORT < script
//
// The script is lines of `name=value`, ended by an empty one; `{n}` in a value is `first` and the connection's
// number added up.
//   connections  how many
//   sources      they come from 127.0.0.1 to 127.0.0.<sources>: a source address has ports for 28 000 of them
//   target       of the upgrade request                 protocol    Sec-WebSocket-Protocol to offer
//   extensions   Sec-WebSocket-Extensions to offer      hello       text message to send once connected
//   ready        text in the message that tells "subscribed"; without one connected is enough
//   count        watermarks: deliveries are counted by the interval that ends a sync:update_batch; frames: by frames
//   stamp        text after which the time of sending stands in a message (CLOCK_MONOTONIC, ns)
//   record       file for what the first connection gets after it was subscribed
//   every        how many connections may be under way at once
// After it come commands, one a line, each answered by one line:
//   wait N       answers when N deliveries have come since the start, or the last `reset`
//   report       what has come so far, as JSON
//   reset        forgets what has come so far
// It says `ready` when all are subscribed, and ends with its input. Messages are looked at without unpacking them, and
// the inside of large ones is not even copied from the kernel, so that what is measured is the server.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr size_t kWholeBytes = 16384;  // a message up to this size is looked at whole
constexpr size_t kTailBytes = 96;      // of a larger one, its end
constexpr size_t kHeaderBytes = 10;    // of a server's frame, at most

enum class State : uint8_t { kNew, kConnecting, kUpgrading, kJoining, kSubscribed, kClosed };

struct Connection {
  int fd = -1;
  State state = State::kNew;
  bool large = false;    // the frame under way is
  std::string pending;   // bytes of an unfinished header or message
  uint64_t skip = 0;     // bytes of a large message that are of no interest
  uint64_t through = 0;  // watermark reached
};

struct Totals {
  uint64_t deliveries = 0;
  uint64_t frames = 0;
  uint64_t bytes = 0;
  uint64_t gaps = 0;
  std::vector<uint32_t> latencies_us;
};

std::map<std::string, std::string> script;
std::vector<Connection> connections;
Totals totals;
std::vector<char> buffer(262144);
sockaddr_in server{};
int poller = -1;
size_t opened = 0;
size_t under_way = 0;
size_t subscribed = 0;
size_t closed = 0;
uint64_t wait_for = 0;
bool count_watermarks = false;
bool resumes = false;
FILE* record = nullptr;

[[noreturn]] void Fail(const char* what) {
  fprintf(stderr, "ws_load: %s: %s\n", what, strerror(errno));
  exit(1);
}

int64_t Now() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return int64_t{t.tv_sec} * 1000000000 + t.tv_nsec;
}

// Says one line to whoever reads our output.
void Say(const std::string& line) {
  printf("%s\n", line.c_str());
  fflush(stdout);
}

std::string Scripted(const std::string& name, size_t number) {
  std::string value = script[name];
  for (size_t at; (at = value.find("{n}")) != std::string::npos;) {
    value.replace(at, 3, std::to_string(number + std::stoul(script["first"])));
  }
  return value;
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

void Subscribed(Connection* c) {
  c->state = State::kSubscribed;
  --under_way;
  if (++subscribed == connections.size()) Say("ready");
}

uint64_t NumberAfter(std::string_view text, std::string_view mark) {
  const size_t at = text.rfind(mark);
  return at == std::string_view::npos ? 0 : strtoull(text.data() + at + mark.size(), nullptr, 10);
}

// `end` is the message, or the last bytes of it.
void OnMessage(Connection* c, std::string_view end, int64_t now) {
  if (c->state == State::kJoining) {
    if (end.find(script["ready"]) != std::string_view::npos) Subscribed(c);
    return;
  }
  ++totals.frames;
  if (count_watermarks) {
    const std::string_view tail = end.substr(end.size() - std::min(end.size(), kTailBytes));
    const uint64_t through = NumberAfter(tail, "\"through_watermark\":");
    if (through == 0) return;  // no batch
    const uint64_t after = NumberAfter(tail, "\"after_watermark\":");
    if ((c->through != 0 || resumes) && after != c->through) ++totals.gaps;
    c->through = through;
    totals.deliveries += through - after;
  } else {
    ++totals.deliveries;
  }
  static const std::string stamp = script["stamp"];
  if (stamp.empty()) return;
  const uint64_t sent = NumberAfter(end, stamp);
  if (sent != 0)
    totals.latencies_us.push_back(static_cast<uint32_t>(std::max<int64_t>(0, now - static_cast<int64_t>(sent)) / 1000));
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

// Takes whole frames from the front of `data`; what is left is unfinished.
std::string_view TakeFrames(Connection* c, std::string_view data, int64_t now) {
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

void Close(Connection* c) {
  close(c->fd);
  if (c->state != State::kSubscribed) --under_way;
  c->state = State::kClosed;
  ++closed;
}

std::string_view TakeUpgrade(Connection* c, std::string_view data) {
  const size_t end = data.find("\r\n\r\n");
  if (end == std::string_view::npos) return data;
  if (data.substr(9, 3) != "101") {
    fprintf(stderr, "ws_load: upgrade refused: %.*s\n", static_cast<int>(end), data.data());
    exit(1);
  }
  const std::string hello = Scripted("hello", static_cast<size_t>(c - connections.data()));
  if (!hello.empty()) {
    // Servers of line protocols may ask for several messages: they are separated by \n.
    for (size_t at = 0; at < hello.size();) {
      const size_t next = std::min(hello.find("\\n", at), hello.size());
      SendFrame(c->fd, 1, hello.substr(at, next - at));
      at = next + 2;
    }
  }
  c->state = State::kJoining;
  if (script["ready"].empty()) Subscribed(c);
  return data.substr(end + 4);
}

// How much to read at once: of a stream of large messages no more than the end of one and the header of the next.
size_t Wanted(const Connection& c) {
  return c.large ? std::min(buffer.size(), static_cast<size_t>(c.skip) + kTailBytes + kHeaderBytes - c.pending.size())
                 : buffer.size() - kWholeBytes - kHeaderBytes;
}

void OnReadable(Connection* c) {
  for (int turn = 0; turn < 16; ++turn) {
    const bool discard = c->skip > 4096 && record == nullptr;
    const size_t wanted = discard ? c->skip : Wanted(*c);
    const size_t kept = discard ? 0 : c->pending.size();
    const ssize_t n = discard ? recv(c->fd, nullptr, wanted, MSG_DONTWAIT | MSG_TRUNC)
                              : recv(c->fd, buffer.data() + kept, wanted, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) return Close(c);
    if (c->state >= State::kJoining) totals.bytes += static_cast<uint64_t>(n);
    if (discard) {
      c->skip -= static_cast<uint64_t>(n);
    } else {
      if (record != nullptr && c == connections.data() && c->state == State::kSubscribed) {
        fwrite(buffer.data() + kept, 1, static_cast<size_t>(n), record);
      }
      memcpy(buffer.data(), c->pending.data(), kept);
      std::string_view data(buffer.data(), kept + static_cast<size_t>(n));
      if (c->state == State::kUpgrading) data = TakeUpgrade(c, data);
      if (c->state >= State::kJoining) data = TakeFrames(c, data, Now());
      c->pending.assign(data);
      if (c->pending.empty() && c->pending.capacity() > 15) std::string().swap(c->pending);
    }
    if (static_cast<size_t>(n) < wanted) return;  // nothing more for now: saves a call that says so
  }
}

void Watch(Connection* c, uint32_t events, int operation) {
  epoll_event watch{};
  watch.events = events;
  watch.data.ptr = c;
  if (epoll_ctl(poller, operation, c->fd, &watch) != 0) Fail("epoll_ctl");
}

void Open(Connection* c, size_t number) {
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (c->fd < 0) Fail("socket");
  const int on = 1;
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
  sockaddr_in source{};
  source.sin_family = AF_INET;
  source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + static_cast<uint32_t>(number % std::stoul("0" + script["sources"])));
  if (bind(c->fd, reinterpret_cast<sockaddr*>(&source), sizeof(source)) != 0) Fail("bind");
  c->state = State::kConnecting;
  ++under_way;
  if (connect(c->fd, reinterpret_cast<sockaddr*>(&server), sizeof(server)) != 0 && errno != EINPROGRESS)
    Fail("connect");
  Watch(c, EPOLLOUT, EPOLL_CTL_ADD);
}

void SendUpgrade(Connection* c) {
  int error = 0;
  socklen_t size = sizeof(error);
  getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) {
    errno = error;
    Fail("connect");
  }
  const auto number = static_cast<size_t>(c - connections.data());
  std::string request = "GET " + Scripted("target", number) +
                        " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
  if (!script["protocol"].empty()) request += "Sec-WebSocket-Protocol: " + script["protocol"] + "\r\n";
  if (!script["extensions"].empty()) request += "Sec-WebSocket-Extensions: " + script["extensions"] + "\r\n";
  c->state = State::kUpgrading;
  Watch(c, EPOLLIN, EPOLL_CTL_MOD);
  SendAll(c->fd, request + "\r\n");
}

std::string Report() {
  auto& l = totals.latencies_us;
  std::sort(l.begin(), l.end());
  const auto quantile = [&](double q) {
    return l.empty() ? 0.0 : l[std::min(l.size() - 1, static_cast<size_t>(q * static_cast<double>(l.size())))] / 1000.0;
  };
  std::array<char, 400> text;
  snprintf(
      text.data(), text.size(),
      R"({"deliveries":%lu,"frames":%lu,"bytes":%lu,"gaps":%lu,"closed":%zu,"stamps":%zu,"p50":%.3f,"p99":%.3f,"max":%.3f})",
      totals.deliveries, totals.frames, totals.bytes, totals.gaps, closed, l.size(), quantile(0.5), quantile(0.99),
      quantile(1));
  return text.data();
}

void Obey(const std::string& command) {
  if (command.rfind("wait ", 0) == 0) {
    wait_for = std::stoull(command.substr(5));
  } else if (command == "report") {
    if (record != nullptr) fflush(record);
    Say(Report());
  } else if (command == "reset") {
    totals = {};
    Say("reset");
  }
}

// Reads what there is on standard input; false at its end.
bool ReadCommands() {
  static std::string input;
  std::array<char, 4096> chunk;
  const ssize_t n = read(STDIN_FILENO, chunk.data(), chunk.size());
  if (n <= 0) return false;
  input.append(chunk.data(), static_cast<size_t>(n));
  for (size_t end; (end = input.find('\n')) != std::string::npos;) {
    Obey(input.substr(0, end));
    input.erase(0, end + 1);
  }
  return true;
}

// Byte by byte: what follows the script are commands.
void ReadScript() {
  std::string line;
  for (char c; read(STDIN_FILENO, &c, 1) == 1;) {
    if (c != '\n') {
      line.push_back(c);
      continue;
    }
    if (line.empty()) return;
    const size_t equals = line.find('=');
    script[line.substr(0, equals)] = line.substr(equals + 1);
    line.clear();
  }
  Fail("script");
}

void Run(size_t every) {
  std::array<epoll_event, 512> events;
  for (;;) {
    while (opened < connections.size() && under_way < every) {
      Open(&connections[opened], opened);
      ++opened;
    }
    const int n = epoll_wait(poller, events.data(), events.size(), -1);
    for (int i = 0; i < n; ++i) {
      auto* c = static_cast<Connection*>(events[static_cast<size_t>(i)].data.ptr);
      if (c == nullptr) {
        if (!ReadCommands()) return;
      } else if (c->state == State::kConnecting) {
        SendUpgrade(c);
      } else if (c->state != State::kClosed) {
        OnReadable(c);
      }
    }
    if (wait_for != 0 && totals.deliveries >= wait_for) {
      wait_for = 0;
      Say("reached");
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: ws_load HOST PORT < script\n");
    return 2;
  }
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  script = {{"first", "0"}, {"sources", "1"}, {"every", "64"}, {"connections", "1"}};
  ReadScript();
  count_watermarks = script["count"] == "watermarks";
  resumes = script["hello"].find("resume_after") != std::string::npos;
  if (!script["record"].empty()) record = fopen(script["record"].c_str(), "wb");
  connections.resize(std::stoul(script["connections"]));
  server.sin_family = AF_INET;
  server.sin_port = htons(static_cast<uint16_t>(std::stoi(argv[2])));
  if (inet_pton(AF_INET, argv[1], &server.sin_addr) != 1) Fail(argv[1]);
  poller = epoll_create1(EPOLL_CLOEXEC);
  epoll_event watch{};
  watch.events = EPOLLIN;
  epoll_ctl(poller, EPOLL_CTL_ADD, STDIN_FILENO, &watch);
  Run(std::stoul(script["every"]));
  return 0;
}
