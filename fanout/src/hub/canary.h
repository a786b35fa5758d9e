// Canary: knows whether events come through, by sending one now and then and waiting for it.
//
// The event goes the whole way of the data: commit, WAL or journal, tail, router. One is sent when none came for an
// interval, so several servers of one database share their canaries. Where none can be sent (a read-only server, an
// extension before 0.3.0, a role that may not), progress has to be judged by other signs.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/clock.h"
#include "database.h"
#include "hub/system_topics.h"

namespace oasync {

struct CanaryOptions {
  int64_t interval_ms = 5000;       // 0: no canaries
  int64_t ready_within_ms = 15000;  // an older last one means that events do not come through
};

class Canary {
 public:
  enum class Progress : uint8_t {
    kUnknown,  // there are no canaries
    kGood,
    kNone,  // none has come for too long, or ever
  };

  // Watches its topic. `database` and `clock` must outlive the canary, and the canary must outlive what delivers to
  // `topics` and the answers of `database`.
  Canary(const CanaryOptions& options, Database& database, SystemTopics& topics, const Clock& clock);

  // Sends one if it is time. To be called every 100 ms or so, by one thread.
  void Tick();

  // Any thread.
  Progress progress() const;
  // Milliseconds since the last one came; -1 before the first.
  int64_t age_ms() const;
  // Microseconds from the commit of the last one to its arrival; -1 before the first. Both clocks count.
  int64_t latency_us() const { return latency_us_.load(std::memory_order_relaxed); }
  uint64_t received() const { return received_.load(std::memory_order_relaxed); }
  uint64_t failures() const { return failures_.load(std::memory_order_relaxed); }

 private:
  void OnEvent(const Event& event);
  void OnSent(const DatabaseError& answer);

  const CanaryOptions options_;
  Database& database_;
  const Clock& clock_;
  int64_t next_ms_ = 0;  // Tick()'s alone
  std::atomic<bool> following_{false};
  std::atomic<bool> under_way_{false};
  std::atomic<bool> unavailable_{false};
  std::atomic<int64_t> last_ms_{-1};  // steady, of the last one's arrival
  std::atomic<int64_t> latency_us_{-1};
  std::atomic<uint64_t> received_{0};
  std::atomic<uint64_t> failures_{0};
};

}  // namespace oasync
