// A lane of the parity auditor, as sync_parity_overview() tells it, with what its audits of a window found.
#pragma once

#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "parity_compare.h"

namespace oasync::terminal {

struct ParityLane {
  std::string name;
  std::string topic;
  std::string adapter;  // http, table, self
  std::string address;
  std::string authority;  // earlier, oa_sync
  bool enabled = false;
  int64_t samples = 0;
  double lag_limit_s = 0;
  double max_rate = 0;
  double max_age_s = 0;
  std::optional<double> enabled_s;    // for how long
  std::optional<double> audit_age_s;  // nothing: none yet
  std::string last_error;             // of the newest audit, if it came to nothing
  int64_t audits = 0;                 // in the window, as all that follows
  int64_t checked = 0;
  int64_t mismatched = 0;
  int64_t unanswered = 0;
  int64_t journal_checked = 0;
  int64_t wire_checked = 0;
  std::array<int64_t, kParityReasons> by_reason{};
  std::array<int64_t, kParityReasons> totals{};  // since the lane was made

  double rate() const { return checked == 0 ? 0 : static_cast<double>(mismatched) / static_cast<double>(checked); }
};

// Nothing when the text is not what the function returns.
std::optional<std::vector<ParityLane>> ParseLanes(const std::string& json);

// The lanes of these names, or without any name those that are enabled, or all of them. *unknown is a name that no lane
// has.
std::vector<ParityLane> SelectLanes(std::vector<ParityLane> lanes, const std::vector<std::string>& names,
                                    bool only_enabled, std::string* unknown);

// {"none":…,…}
nlohmann::json ReasonsToJson(const std::array<int64_t, kParityReasons>& counts);

}  // namespace oasync::terminal
