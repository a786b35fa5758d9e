// Overview: GET /api/admin/overview, everything about this server and its database at one look.
// docs/operations/http.md has every member.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "admin/database_glance.h"
#include "admin/problems.h"
#include "admin/recent.h"
#include "net/health.h"
#include "net/shared.h"

namespace oasync {

// Where live events come from, and the slot.
struct TailFacts {
  std::string reason;         // of the last change of the mode
  int64_t changed_at_ms = 0;  // Unix milliseconds; 0: it never changed
  uint64_t topics_followed = 0;
  uint64_t epoch = 0;
  std::string slot_name;  // empty: there is none
  std::string slot_state;
  uint64_t slot_wal_bytes = 0;
  int64_t slot_lag_ms = 0;
  uint64_t journal_errors = 0;
  uint64_t decode_errors = 0;
  uint64_t slot_invalidations = 0;
};

// What it refers to must outlive it. The functions may be called on any thread.
struct OverviewEnvironment {
  const ServerShared& shared;
  const char* version;
  std::function<std::string()> listen;  // HOST:PORT as it was bound
  int64_t started_at_ms;
  std::function<TailFacts()> tail;
  std::function<Readiness()> readiness;
  std::function<int64_t()> canary_age_ms;
  std::function<std::vector<ParityLaneFacts>()> parity{};  // may be empty
};

class Overview {
 public:
  Overview(OverviewEnvironment environment, OperatorDatabase& database);

  // Calls reply once, within about DatabaseGlance::kPatienceMs.
  void Answer(HttpReply reply);
  // To be called every 100 ms or so, by one thread.
  void Tick();
  // What the database said last, for others who want to know.
  DatabaseGlance& glance() { return glance_; }

 private:
  RecentCounts Counted() const;
  HealthFacts Facts(const GlanceRef& glance, const TailFacts& tail) const;
  std::string Render(const GlanceRef& glance) const;

  const OverviewEnvironment environment_;
  DatabaseGlance glance_;
  RecentMeter recent_;
  LoopLoad load_;
};

}  // namespace oasync
