// DatabaseMetrics: what the extension counts in the database, for /metrics.
//
// The database is asked every interval, not by each scrape: a scrape never waits for it, and however many scrape there
// is one question. docs/operations/metrics.md says what each number means.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "admin/database_glance.h"
#include "base/clock.h"
#include "net/metrics.h"

namespace oasync {

// Thread-safe. Must outlive the answers of the database.
class DatabaseMetrics {
 public:
  // An interval of 0 asks never.
  DatabaseMetrics(DatabaseGlance& glance, const Clock& clock, int64_t interval_ms)
      : glance_(glance), clock_(clock), interval_ms_(interval_ms) {}

  // Asks when it is time to. To be called often, by one thread.
  void Tick();
  // As of the last answer. What is not known is -1; counters are not there before the first one.
  std::vector<MetricsSources::Extra> Read() const;

 private:
  void See(const GlanceRef& glance);

  DatabaseGlance& glance_;
  const Clock& clock_;
  const int64_t interval_ms_;
  int64_t next_ms_ = 0;  // by the thread of Tick
  mutable std::mutex mutex_;
  bool reachable_ = false;
  bool asked_ = false;
  int64_t answered_ms_ = 0;  // steady; 0: never
  GlanceRef answer_;         // the last that came
};

}  // namespace oasync
