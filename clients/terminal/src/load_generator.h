// LoadGenerator: many subscribers in one light process, for measuring a server.
//
// Messages are looked at without unpacking them, and the inside of large ones is not even copied from the kernel, so
// that what is measured is the server. Nothing here is libwebsockets for the same reason. One thread's.
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "load_script.h"

namespace oasync::terminal {

struct LoadTotals {
  uint64_t deliveries = 0;
  uint64_t frames = 0;
  uint64_t bytes = 0;
  uint64_t gaps = 0;
  std::vector<uint32_t> latencies_us;
};

class LoadGenerator {
 public:
  LoadGenerator(LoadScript script, const sockaddr_in& server);
  ~LoadGenerator();
  LoadGenerator(const LoadGenerator&) = delete;
  LoadGenerator& operator=(const LoadGenerator&) = delete;

  // Sets up; empty when that worked, else why not. Nothing is connected yet.
  std::string Begin();
  // Opens connections and takes what comes, once, for at most so long (-1: until something happens). Also returns when
  // `fd`, if it is one, can be read; true then. Empty error() or the end.
  bool Turn(int timeout_ms, int fd);

  bool all_subscribed() const { return subscribed_ == connections_.size(); }
  size_t subscribed() const { return subscribed_; }
  size_t closed() const { return closed_; }
  const LoadTotals& totals() const { return totals_; }
  void Reset() { totals_ = {}; }
  // What has come so far, as JSON; latencies in milliseconds.
  std::string Report();
  // Why it can't go on; empty while it can.
  const std::string& error() const { return error_; }

 private:
  enum class State : uint8_t { kNew, kConnecting, kUpgrading, kJoining, kSubscribed, kClosed };
  struct Connection {
    int fd = -1;
    State state = State::kNew;
    bool large = false;    // the frame under way is
    std::string pending;   // bytes of an unfinished header or message
    uint64_t skip = 0;     // bytes of a large message that are of no interest
    uint64_t through = 0;  // watermark reached
  };

  void Fail(const std::string& what);
  void FailCall(const char* what);
  void Open(Connection* c, size_t number);
  void SendUpgrade(Connection* c);
  void OnReadable(Connection* c);
  void OnMessage(Connection* c, std::string_view end, int64_t now);
  void OnSubscribed(Connection* c);
  void Close(Connection* c);
  void Watch(Connection* c, uint32_t events, int operation);
  size_t NumberOf(const Connection* c) const { return static_cast<size_t>(c - connections_.data()); }
  size_t Wanted(const Connection& c) const;
  std::string_view TakeUpgrade(Connection* c, std::string_view data);
  std::string_view TakeFrames(Connection* c, std::string_view data, int64_t now);

  const LoadScript script_;
  const sockaddr_in server_;
  const bool resumes_;
  std::vector<Connection> connections_;
  std::vector<char> buffer_;
  LoadTotals totals_;
  int poller_ = -1;
  int watched_fd_ = -1;
  size_t opened_ = 0;
  size_t under_way_ = 0;
  size_t subscribed_ = 0;
  size_t closed_ = 0;
  std::unique_ptr<FILE, int (*)(FILE*)> record_;
  std::string error_;
};

}  // namespace oasync::terminal
