// Counters of one event loop, and the rarer ones that carry a label. net/metrics.h gives them their public names.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace oasync {

// A number that one thread writes and others may read at any time. Cheaper than an atomic add.
class Cell {
 public:
  void Add(int64_t n = 1) { value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed); }
  void Set(int64_t value) { value_.store(value, std::memory_order_relaxed); }
  int64_t Get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> value_{0};
};

// Fixed buckets, cumulative only when they are read. `kBounds`: their upper bounds, ascending.
template <const auto& kBounds>
class Histogram {
 public:
  static constexpr const auto& kUpperBounds = kBounds;
  void Observe(int64_t value) {
    size_t i = 0;
    while (i < kBounds.size() && value > kBounds[i]) ++i;
    buckets_[i].Add();
    sum_.Add(value);
  }
  int64_t Bucket(size_t i) const { return buckets_[i].Get(); }
  int64_t Sum() const { return sum_.Get(); }

 private:
  std::array<Cell, kBounds.size() + 1> buckets_;  // the last one is +Inf
  Cell sum_;
};

inline constexpr std::array<int64_t, 15> kLatencyBoundsUs = {
    500, 1000, 2000, 3000, 5000, 7500, 10000, 20000, 50000, 100000, 250000, 1000000, 5000000, 30000000, 300000000};
using LatencyHistogram = Histogram<kLatencyBoundsUs>;
inline constexpr std::array<int64_t, 9> kLagBounds = {0, 1, 10, 50, 250, 1000, 5000, 20000, 100000};
inline constexpr std::array<int64_t, 8> kUpdatesBounds = {1, 2, 5, 10, 50, 100, 200, 1000};
inline constexpr std::array<int64_t, 9> kBytesBounds = {256,    1024,    4096,    16384,  65536,
                                                        262144, 1048576, 2097152, 8388608};

// Where a replay found what it sent: the dearest of them.
enum class ReplaySource : uint8_t { kWindow, kPageCache, kJournal };

// What a request for a WebSocket came to.
enum class UpgradeResult : uint8_t {
  kAccepted,
  kUnauthorized,  // for its token or origin
  kRefused,       // for anything else: limits, a path or version that there is not
};

// Written by the thread of one loop only.
struct LoopCounters {
  Cell connections;        // gauge: WebSockets of the public listener
  Cell admin_connections;  // gauge: of the admin listener
  Cell joined;             // gauge: sessions with a channel
  Cell subscriptions;      // gauge
  Cell topics;             // gauge: topics with a window
  Cell window_events;      // gauge
  Cell window_bytes;       // gauge
  Cell accepted;           // TCP connections
  Cell accept_errors;
  Cell upgrades[3];  // of the public listener, by UpgradeResult
  Cell joins;
  Cell reconnects;  // joins that brought a cursor
  Cell subscribes;
  Cell messages_received;
  Cell bytes_received;
  Cell frames_sent;
  Cell bytes_sent;
  Cell frames_encoded;  // update batches built; the others were shared
  Cell encode_ns;       // time spent on building them
  Cell deflated;        // of them compressed
  Cell deflate_ns;
  Cell deflate_bytes_in;
  Cell deflate_bytes_out;
  Histogram<kUpdatesBounds> batch_updates;  // of those built
  Histogram<kBytesBounds> batch_bytes;
  Cell batches_sent[2];  // by Encoding
  Cell updates_sent[2];  // by Encoding
  Cell window_batches;   // batches by source
  Cell journal_batches;
  Cell replay_gap_waits;
  Cell heartbeats_sent;
  Cell heartbeats_received;
  Cell silent_closed;  // no frame from the client for the timeout
  Cell slow_closed;    // nothing could be written for the timeout
  Cell slow_strikes;
  Cell handshake_timeouts;
  Cell malformed;
  Cell oversized;
  Cell rate_limited;
  LatencyHistogram commit_to_socket;
  LatencyHistogram replay_time[3];   // by ReplaySource
  Histogram<kLagBounds> lag_events;  // of subscriptions, once a heartbeat
  LatencyHistogram lag_time;
  Cell lag_events_max;  // gauge, of the last heartbeat's interval
  Cell lag_us_max;      // gauge
  // -- net/
  Cell last_turn_ms;    // steady milliseconds of the loop's last tick; 0 before it
  Cell busy_us;         // time the loop did not wait
  Cell admin_accepted;  // TCP connections of the admin listener
  Cell turned_away;     // connections closed at once: no descriptor, or too many handshakes
  Cell http_bytes;      // of answers
  Cell tls_handshakes;  // completed
  Cell tls_failures;    // begun and not completed, or still under way
  Cell http_timeouts;   // requests whose answer was not out in time
};

// Rare events by a label. Thread-safe. Labels come from fixed lists in the code, never from a client.
class LabelledCounter {
 public:
  void Add(std::string_view label) {
    const std::lock_guard lock(mutex_);
    const auto it = values_.find(label);
    if (it == values_.end()) {
      values_.emplace(label, 1);
    } else {
      ++it->second;
    }
  }
  std::map<std::string, uint64_t, std::less<>> Read() const {
    const std::lock_guard lock(mutex_);
    return values_;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, uint64_t, std::less<>> values_;
};

// Shared by all loops.
struct SharedCounters {
  LabelledCounter denials;      // refused upgrades, requests and topics, by reason
  LabelledCounter stale;        // cursors refused, by reason
  LabelledCounter storms;       // joins, replays and topics that were too many at the moment, by kind
  LabelledCounter closed;       // sockets closed by the server, by reason
  LabelledCounter http;         // HTTP answers, by "route status"
  LabelledCounter tls_reloads;  // ok, failed
  LabelledCounter key_reloads;  // ok, failed
};

}  // namespace oasync
