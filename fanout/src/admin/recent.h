// Recent: what was counted lately, so that health speaks of now and not of everything since the start.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <vector>

namespace oasync {

// Counters that say that something is wrong when they grow.
enum class Recent : uint8_t {
  kRateLimited,    // requests of sockets, and of HTTP
  kStormsRefused,  // joins, replays and topics that were too many
  kSlowClosed,     // sockets closed because they did not read
  kStaleCursors,   // clients that have to begin anew
  kTurnedAway,     // connections closed at once
  kHttpTimeouts,
  kJournalErrors,  // reads of the journal that failed
  kLoopLost,       // topics that a loop did not keep up with
  kDecodeErrors,
  kSlotInvalidations,
  kKeyFailures,   // key files that could not be read
  kTlsFailures,   // the same of the certificate
  kHeadsEvicted,  // of the database; only what was seen when somebody asked
  kCount
};
using RecentCounts = std::array<int64_t, static_cast<size_t>(Recent::kCount)>;

// Differences over the last five minutes, or since the start. Thread-safe.
class RecentMeter {
 public:
  static constexpr int64_t kSampleMs = 15000;
  static constexpr size_t kSamples = 20;

  // `read` gives the counters since the start; any thread.
  explicit RecentMeter(std::function<RecentCounts()> read) : read_(std::move(read)) {}

  // To be called often, by one thread.
  void Tick(int64_t now_ms);
  RecentCounts Read() const;

 private:
  const std::function<RecentCounts()> read_;
  int64_t next_ms_ = 0;
  mutable std::mutex mutex_;
  std::deque<RecentCounts> samples_;  // the oldest first
};

// How busy each loop was in the last whole second or so. Thread-safe.
class LoopLoad {
 public:
  static constexpr int64_t kSampleMs = 1000;

  // `busy_us` gives the microseconds that each loop did not wait, since the start.
  explicit LoopLoad(std::function<std::vector<int64_t>()> busy_us) : busy_us_(std::move(busy_us)) {}

  void Tick(int64_t now_ms);
  // From 0 to 1, one for each loop; empty in the first second.
  std::vector<double> Read() const;

 private:
  const std::function<std::vector<int64_t>()> busy_us_;
  int64_t last_ms_ = 0;
  std::vector<int64_t> last_;
  mutable std::mutex mutex_;
  std::vector<double> load_;
};

}  // namespace oasync
