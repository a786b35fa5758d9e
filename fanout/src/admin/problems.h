// Problems: what is wrong, in plain words, and what to do about it. docs/operations/problems.md has a section for each.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "admin/database_glance.h"
#include "admin/parity_watch.h"
#include "admin/recent.h"
#include "source.h"

namespace oasync {

// All that is looked at.
struct HealthFacts {
  TailMode tail_mode = TailMode::kDown;
  std::string tail_reason;  // a TailReason's name
  int64_t tail_in_mode_ms = 0;
  bool tail_wants_slot = true;     // --tail auto
  int64_t slot_wal_bytes = 0;      // that the server keeps for us
  int64_t max_slot_wal_bytes = 0;  // 0: no limit
  int64_t slot_lag_ms = 0;
  std::string unready_reason;  // of readiness; empty when ready
  int64_t canary_age_ms = -1;
  int64_t ready_within_ms = 0;
  bool revocations_known = true;
  int64_t revocations_forgotten = 0;
  int64_t connections = 0;
  int64_t max_connections = 0;
  bool memory_pressure = false;
  int stalled_loops = 0;
  double busiest_loop = 0;            // 0 to 1
  int64_t certificate_expires_s = 0;  // Unix seconds; 0 without TLS
  int64_t now_s = 0;
  std::string version;  // ours
  RecentCounts recent{};
  GlanceRef glance;  // null: nobody has looked yet
  std::vector<ParityLaneFacts> parity;
};

struct Problem {
  const char* code;  // of a fixed list; the section of docs/operations/problems.md
  bool is_critical;  // clients get no events, or security suffers
  std::string what;
  std::string todo;
};

// What is wrong, the critical ones first.
std::vector<Problem> FindProblems(const HealthFacts& facts);

// Every code there is.
const std::vector<const char*>& ProblemCodes();

}  // namespace oasync
