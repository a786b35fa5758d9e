// ParityWatch: what the parity audits have found, asked for every now and then, for metrics and for health.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "parity_database.h"

namespace oasync {

inline constexpr std::array<const char*, 5> kParityReasons = {"none", "summary_hash_mismatch", "lag_drift",
                                                              "hash_and_lag_drift", "missing"};

struct ParityLaneFacts {
  std::string name;
  bool enabled = false;
  double max_rate = 0;
  double max_age_s = 0;
  double enabled_s = 0;     // for how long it has been
  double audit_age_s = -1;  // -1: no audit yet
  int64_t checked = 0;      // in the last hour
  int64_t mismatched = 0;
  std::array<double, kParityReasons.size()> totals{};  // since the lane was made
};

// Thread-safe. Must outlive the answers of the database.
class ParityWatch {
 public:
  static constexpr int64_t kEveryMs = 5000;
  // What the database does not have, or the role may not call, it may after an update or a grant. Every failed question
  // is a line in the server's log.
  static constexpr int64_t kAfterRefusalMs = 60000;
  // No more lanes than these are shown, whatever the database says.
  static constexpr size_t kMaxLanes = 32;

  ParityWatch(ParityDatabase& database, const Clock& clock) : database_(database), clock_(clock) {}

  // To be called often, by one thread.
  void Tick();
  // As of now: ages go on while nobody answers. Empty before the first answer.
  std::vector<ParityLaneFacts> Lanes() const;

 private:
  void OnAnswer(const DocumentAnswer& answer);

  ParityDatabase& database_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  bool under_way_ = false;
  int64_t next_ms_ = 0;
  int64_t read_ms_ = 0;
  std::vector<ParityLaneFacts> lanes_;
};

// The lanes in an answer; empty when it cannot be read.
std::vector<ParityLaneFacts> ParseParityLanes(const std::string& json);

}  // namespace oasync
