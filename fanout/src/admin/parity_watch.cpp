#include "admin/parity_watch.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace oasync {
namespace {

using Json = nlohmann::json;

constexpr char kUndefinedFunction[] = "42883";
constexpr char kNoPrivilege[] = "42501";
constexpr double kMsPerSecond = 1000;

double Number(const Json& object, const char* name, double otherwise = 0) {
  const auto found = object.find(name);
  return found != object.end() && found->is_number() ? found->get<double>() : otherwise;
}

}  // namespace

std::vector<ParityLaneFacts> ParseParityLanes(const std::string& json) {
  std::vector<ParityLaneFacts> lanes;
  const Json list = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!list.is_array()) return lanes;
  for (const Json& one : list) {
    if (!one.is_object() || lanes.size() >= ParityWatch::kMaxLanes) continue;
    const auto name = one.find("lane");
    if (name == one.end() || !name->is_string()) continue;
    ParityLaneFacts& lane = lanes.emplace_back();
    lane.name = name->get<std::string>();
    const auto enabled = one.find("enabled");
    lane.enabled = enabled != one.end() && enabled->is_boolean() && enabled->get<bool>();
    lane.max_rate = Number(one, "max_rate");
    lane.max_age_s = Number(one, "max_age_s");
    lane.enabled_s = Number(one, "enabled_s");
    lane.audit_age_s = Number(one, "audit_age_s", -1);
    lane.checked = static_cast<int64_t>(Number(one, "checked"));
    lane.mismatched = static_cast<int64_t>(Number(one, "mismatched"));
    const auto totals = one.find("totals");
    for (size_t i = 0; i < kParityReasons.size(); ++i) {
      if (totals != one.end() && totals->is_object()) lane.totals[i] = Number(*totals, kParityReasons[i]);
    }
  }
  return lanes;
}

void ParityWatch::Tick() {
  {
    const std::lock_guard lock(mutex_);
    if (under_way_ || clock_.SteadyMs() < next_ms_) return;
    under_way_ = true;
  }
  database_.ReadParity([this](const DocumentAnswer& answer) { OnAnswer(answer); });
}

void ParityWatch::OnAnswer(const DocumentAnswer& answer) {
  std::vector<ParityLaneFacts> lanes;
  if (answer.ok()) lanes = ParseParityLanes(answer.body);
  const bool refused = answer.sqlstate == kUndefinedFunction || answer.sqlstate == kNoPrivilege;
  const std::lock_guard lock(mutex_);
  under_way_ = false;
  const int64_t now_ms = clock_.SteadyMs();
  next_ms_ = now_ms + (refused ? kAfterRefusalMs : kEveryMs);
  // A database that is away keeps what it said; one that knows of no lanes has none.
  if (!answer.ok() && !refused) return;
  lanes_ = std::move(lanes);
  read_ms_ = now_ms;
}

std::vector<ParityLaneFacts> ParityWatch::Lanes() const {
  const std::lock_guard lock(mutex_);
  std::vector<ParityLaneFacts> lanes = lanes_;
  const double since_s = static_cast<double>(clock_.SteadyMs() - read_ms_) / kMsPerSecond;
  for (ParityLaneFacts& lane : lanes) {
    lane.enabled_s += since_s;
    if (lane.audit_age_s >= 0) lane.audit_age_s += since_s;
  }
  return lanes;
}

}  // namespace oasync
