#include "parity_gate.h"

#include <fmt/format.h>

#include <algorithm>

namespace oasync::terminal {
namespace {

// Of what was asked for, what may have had no answer: an earlier lane that fails for just those documents which are
// wrong must not look good.
constexpr int64_t kUnansweredPart = 10;

}  // namespace

GateJudgement JudgeLane(const ParityLane& lane, const GateLimits& limits) {
  GateJudgement judgement{lane, {}};
  auto& closed = judgement.reasons_closed;
  if (!lane.enabled) closed.emplace_back("the lane is not enabled");
  if (!lane.audit_age_s) {
    closed.emplace_back("no audit has come to an end yet");
  } else if (*lane.audit_age_s > lane.max_age_s) {
    closed.push_back(
        fmt::format("the newest audit is {:.0f} s old, and may be {:.0f} s", *lane.audit_age_s, lane.max_age_s));
  }
  if (!lane.last_error.empty()) closed.push_back("the last audit came to nothing: " + lane.last_error);
  // Nothing compared is no evidence, whatever the limit says.
  const int64_t needed = std::max<int64_t>(1, limits.min_samples);
  if (lane.checked < needed) {
    closed.push_back(fmt::format("{} documents were compared, and {} are needed", lane.checked, needed));
  }
  // The other way round than it reads: a limit that is no number closes.
  if (lane.checked > 0 && !(lane.rate() < limits.max_rate)) {
    closed.push_back(fmt::format("the mismatch rate is {:.4g} ({} of {}), and has to be below {:.4g}", lane.rate(),
                                 lane.mismatched, lane.checked, limits.max_rate));
  }
  if (lane.unanswered * kUnansweredPart > lane.checked + lane.unanswered) {
    closed.push_back(fmt::format("{} of {} documents were asked for without an answer", lane.unanswered,
                                 lane.checked + lane.unanswered));
  }
  return judgement;
}

bool IsOpen(const std::vector<GateJudgement>& judgements) {
  return !judgements.empty() && std::all_of(judgements.begin(), judgements.end(),
                                            [](const GateJudgement& one) { return one.reasons_closed.empty(); });
}

nlohmann::json GateToJson(const std::vector<GateJudgement>& judgements) {
  nlohmann::json lanes = nlohmann::json::array();
  for (const GateJudgement& one : judgements) {
    const ParityLane& lane = one.lane;
    lanes.push_back({{"lane", lane.name},
                     {"authority", lane.authority},
                     {"checked", lane.checked},
                     {"mismatched", lane.mismatched},
                     {"unanswered", lane.unanswered},
                     {"rate", lane.checked == 0 ? nlohmann::json() : nlohmann::json(lane.rate())},
                     {"by_reason", ReasonsToJson(lane.by_reason)},
                     {"audit_age_seconds", lane.audit_age_s ? nlohmann::json(*lane.audit_age_s) : nlohmann::json()},
                     {"reasons_closed", one.reasons_closed}});
  }
  return {{"open", IsOpen(judgements)}, {"lanes", std::move(lanes)}};
}

}  // namespace oasync::terminal
