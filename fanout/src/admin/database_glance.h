// DatabaseGlance: what the database says of itself, asked for when somebody wants to know, and at most once a second.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/clock.h"
#include "database.h"

namespace oasync {

// One look. Immutable.
struct Glance {
  bool reachable = false;
  nlohmann::json overview;       // of sync_overview(), an object; null when not reachable
  int64_t clock_ahead_ms = 0;    // of the database's clock before ours, give or take half of what the answer took
  int64_t voids_pending_ms = 0;  // for so long every look has seen voids that are not filled
  // Topics that left the extension's shared memory from one look to the next, summed up; what happened while nobody
  // looked for long is not in it.
  int64_t heads_evicted = 0;
};
using GlanceRef = std::shared_ptr<const Glance>;

// Thread-safe. Must outlive the answers of the database.
class DatabaseGlance {
 public:
  using Callback = std::function<void(GlanceRef)>;
  static constexpr int64_t kFreshMs = 1000;
  // A database that does not answer within it is shown as not reachable; operators look just then.
  static constexpr int64_t kPatienceMs = 2000;
  // Looks that are further apart say nothing of the time between them.
  static constexpr int64_t kApartMs = 30000;
  // An answer that took longer has waited somewhere: it does not tell what time it was.
  static constexpr int64_t kPromptMs = 500;

  DatabaseGlance(OperatorDatabase& database, const Clock& clock) : database_(database), clock_(clock) {}

  // Calls `done` once: now, or on another thread within kPatienceMs or so.
  void Get(Callback done);
  // Gives up those who have waited for too long. To be called often.
  void Tick();
  // The last look; null before the first.
  GlanceRef last() const;

 private:
  struct Waiter {
    int64_t until_ms;
    Callback done;
  };

  void Ask();
  void OnAnswer(int64_t asked_ms, const DocumentAnswer& answer);

  OperatorDatabase& database_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::vector<Waiter> waiters_;
  bool under_way_ = false;
  int64_t fresh_until_ms_ = 0;
  int64_t voids_since_ms_ = 0;  // 0: the last look saw none
  int64_t reached_ms_ = 0;      // when the last look came that found the database; 0 before
  int64_t last_evicted_ = 0;    // the database's count then
  int64_t heads_evicted_ = 0;   // as in Glance
  int64_t clock_ahead_ms_ = 0;
  GlanceRef last_;
};

}  // namespace oasync
