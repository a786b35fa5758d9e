#include "parity_lane.h"

#include <algorithm>

#include "auth/strict_json.h"
#include "phoenix_channel.h"

namespace oasync::terminal {
namespace {

std::optional<double> Number(const Json& object, const char* name) {
  const Json& value = Member(object, name);
  if (!value.is_number()) return std::nullopt;
  return value.get<double>();
}

int64_t Count(const Json& object, const char* name) {
  return static_cast<int64_t>(ReadInteger(Member(object, name)).value_or(0));
}

std::array<int64_t, kParityReasons> Reasons(const Json& object) {
  std::array<int64_t, kParityReasons> counts{};
  for (int i = 0; i < kParityReasons; ++i) {
    counts[static_cast<size_t>(i)] = Count(object, ParityReasonName(static_cast<ParityReason>(i)));
  }
  return counts;
}

}  // namespace

std::optional<std::vector<ParityLane>> ParseLanes(const std::string& json) {
  const Json list = ParseStrictJson(json);
  if (!list.is_array()) return std::nullopt;
  std::vector<ParityLane> lanes;
  for (const Json& one : list) {
    if (!one.is_object()) return std::nullopt;
    ParityLane& lane = lanes.emplace_back();
    lane.name = TextMember(one, "lane");
    lane.topic = TextMember(one, "topic");
    lane.adapter = TextMember(one, "adapter");
    lane.address = TextMember(one, "address");
    lane.authority = TextMember(one, "authority");
    const Json& enabled = Member(one, "enabled");
    lane.enabled = enabled.is_boolean() && enabled.get<bool>();
    lane.samples = Count(one, "samples");
    lane.lag_limit_s = Number(one, "lag_limit_s").value_or(0);
    lane.max_rate = Number(one, "max_rate").value_or(0);
    lane.max_age_s = Number(one, "max_age_s").value_or(0);
    lane.enabled_s = Number(one, "enabled_s");
    lane.audit_age_s = Number(one, "audit_age_s");
    lane.last_error = TextMember(Member(one, "last_error"), "error");
    lane.audits = Count(one, "audits");
    lane.checked = Count(one, "checked");
    lane.mismatched = Count(one, "mismatched");
    lane.unanswered = Count(one, "unanswered");
    lane.journal_checked = Count(one, "journal_checked");
    lane.wire_checked = Count(one, "wire_checked");
    lane.by_reason = Reasons(Member(one, "by_reason"));
    lane.totals = Reasons(Member(one, "totals"));
  }
  return lanes;
}

std::vector<ParityLane> SelectLanes(std::vector<ParityLane> lanes, const std::vector<std::string>& names,
                                    bool only_enabled, std::string* unknown) {
  for (const std::string& name : names) {
    const bool known = std::any_of(lanes.begin(), lanes.end(), [&](const ParityLane& l) { return l.name == name; });
    if (!known) *unknown = name;
  }
  const auto is_left_out = [&](const ParityLane& lane) {
    if (!names.empty()) return std::find(names.begin(), names.end(), lane.name) == names.end();
    return only_enabled && !lane.enabled;
  };
  lanes.erase(std::remove_if(lanes.begin(), lanes.end(), is_left_out), lanes.end());
  return lanes;
}

nlohmann::json ReasonsToJson(const std::array<int64_t, kParityReasons>& counts) {
  nlohmann::json object = nlohmann::json::object();
  for (int i = 0; i < kParityReasons; ++i) {
    object[ParityReasonName(static_cast<ParityReason>(i))] = counts[static_cast<size_t>(i)];
  }
  return object;
}

}  // namespace oasync::terminal
