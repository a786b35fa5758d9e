// Admission: how much of a storm the server takes on at once, over all its loops.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "base/token_bucket.h"

namespace oasync {

// 0 is no limit.
struct AdmissionOptions {
  uint32_t joins_per_second = 5000;  // refilled; as many at once
  uint32_t max_replays = 2000;       // subscribes under way that need pages of the journal
  uint32_t max_topics = 200000;      // held by the loops, each counting its own
};

// Times for those who are refused, one after the other at the pace at which they can be taken, so that they do not all
// come back at once.
class RetrySpread {
 public:
  // The next free moment, as milliseconds from now: at least 1.
  int64_t Next(int64_t now_ms, double spacing_ms);

 private:
  double last_ms_ = 0;
};

class Admission;

// A replay under way, as long as it lives but no longer than kMostMs: after that it is at the pace of a slow client,
// and no load.
class ReplayPlace {
 public:
  static constexpr int64_t kMostMs = 5000;
  ReplayPlace(Admission& admission, int64_t now_ms) : admission_(admission), begun_ms_(now_ms) {}
  ~ReplayPlace() { Release(); }
  ReplayPlace(const ReplayPlace&) = delete;
  ReplayPlace& operator=(const ReplayPlace&) = delete;
  void Release();
  int64_t begun_ms() const { return begun_ms_; }

 private:
  Admission& admission_;
  const int64_t begun_ms_;
  bool released_ = false;
};
using ReplayPlaceRef = std::shared_ptr<ReplayPlace>;

// Any thread. Times are steady milliseconds. Must outlive every place.
class Admission {
 public:
  Admission(const AdmissionOptions& options, int64_t now_ms);
  Admission(const Admission&) = delete;
  Admission& operator=(const Admission&) = delete;

  // 0 when the join may go on, otherwise the milliseconds after which to try again.
  int64_t AdmitJoin(int64_t now_ms);
  // Null and *retry_after_ms when too many replays are under way.
  ReplayPlaceRef AdmitReplay(int64_t now_ms, int64_t* retry_after_ms);
  // Takes the place of a topic; false when there is none left.
  bool TakeTopic();
  void ReleaseTopic() { topics_.fetch_sub(1, std::memory_order_relaxed); }

  uint32_t replays() const { return replays_.load(std::memory_order_relaxed); }

 private:
  friend class ReplayPlace;

  const AdmissionOptions options_;
  std::atomic<uint32_t> replays_{0};
  std::atomic<uint32_t> topics_{0};
  std::mutex mutex_;  // guards what follows
  TokenBucket joins_;
  RetrySpread join_retries_;
  RetrySpread replay_retries_;
};

}  // namespace oasync
