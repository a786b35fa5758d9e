// The gate: whether what audits have found lets a rollout go on. Pure.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "parity_lane.h"

namespace oasync::terminal {

struct GateLimits {
  double max_rate = 0.01;     // a rate that is not below it closes the gate
  int64_t min_samples = 100;  // compared in the window
};

struct GateJudgement {
  ParityLane lane;
  std::vector<std::string> reasons_closed;  // in words, one line each; none: open
};

GateJudgement JudgeLane(const ParityLane& lane, const GateLimits& limits);

// {"open":…,"lanes":[…]} as docs/sync/PARITY.md says it.
nlohmann::json GateToJson(const std::vector<GateJudgement>& judgements);
bool IsOpen(const std::vector<GateJudgement>& judgements);

}  // namespace oasync::terminal
