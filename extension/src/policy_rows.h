// Rows of policies, as policy.cpp resolves them and policy_sql.cpp shows them. Nobody else needs this: see policy.h.
#pragma once

#include "policy.h"

namespace oasync {

struct PolicyRow {
  const char* pattern;
  bool is_default;
  unsigned stated;  // a bit for each PolicySetting
  Policy values;    // meaningful where stated

  bool States(PolicySetting setting) const { return (stated & (1U << static_cast<int>(setting))) != 0; }
};

// What holds where nothing was set, in the order in which patterns decide; the last one is of every topic and states
// every setting.
constexpr int kDefaultPolicies = 5;
extern const PolicyRow default_policies[kDefaultPolicies];

// What decides for a topic: the values, and where each comes from (kPolicySettings places). REQUIRES a transaction.
// The sources are valid as long as a PolicyOf() is.
void ResolvePolicy(std::string_view topic, Policy* policy, const PolicyRow** sources);

void CopySetting(Policy* to, const Policy& from, PolicySetting setting);

// A month is 30 days and a day 24 hours, as in comparisons of intervals. kNoLimit for zero.
int64 HorizonToUs(const Interval* horizon);

}  // namespace oasync
