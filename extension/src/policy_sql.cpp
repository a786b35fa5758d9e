// Policies in SQL: their defaults, what decides for a topic, and the trigger by which changes are heard.
#include "policy_rows.h"

extern "C" {
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/jsonb.h"
}

#include "result_set.h"
#include "text_template.h"

namespace oasync {
namespace {

constexpr unsigned kAll = (1U << kPolicySettings) - 1;
constexpr unsigned kRetention = 1U << static_cast<int>(PolicySetting::kHorizon) |
                                1U << static_cast<int>(PolicySetting::kReplayBudget) |
                                1U << static_cast<int>(PolicySetting::kQosTier);

constexpr Policy Retention(int64 horizon_us, int64 replay_budget, QosTier tier) {
  return {horizon_us, replay_budget, tier, kNoLimit, false, kNoLimit, kNoLimit, nullptr};
}

constexpr const char* kSettingNames[kPolicySettings] = {"horizon",      "replay_budget",  "qos_tier",
                                                        "max_payload",  "payload_mode",   "max_inline",
                                                        "publish_rate", "snapshot_source"};

// 0 is "no limit" in SQL.
int64 FromLimit(int64 value) { return value == kNoLimit ? 0 : value; }

Datum HorizonToInterval(int64 horizon_us) {
  const int64 us = FromLimit(horizon_us);
  auto* interval = static_cast<Interval*>(palloc0(sizeof(Interval)));
  interval->day = static_cast<int32>(us / USECS_PER_DAY);
  interval->time = us % USECS_PER_DAY;
  return IntervalPGetDatum(interval);
}

Datum SettingDatum(const Policy& policy, PolicySetting setting, bool* isnull) {
  *isnull = false;
  switch (setting) {
    case PolicySetting::kHorizon:
      return HorizonToInterval(policy.horizon_us);
    case PolicySetting::kReplayBudget:
      return Int64GetDatum(FromLimit(policy.replay_budget));
    case PolicySetting::kQosTier:
      return CStringGetTextDatum(QosTierName(policy.qos_tier));
    case PolicySetting::kMaxPayload:
      return Int64GetDatum(FromLimit(policy.max_payload));
    case PolicySetting::kPayloadMode:
      return CStringGetTextDatum(policy.pointer ? "pointer" : "inline");
    case PolicySetting::kMaxInline:
      return Int64GetDatum(FromLimit(policy.max_inline));
    case PolicySetting::kPublishRate:
      return Int32GetDatum(static_cast<int32>(FromLimit(policy.publish_rate)));
    case PolicySetting::kSnapshotSource:
      if (policy.snapshot_source != nullptr) return CStringGetTextDatum(policy.snapshot_source);
      break;
  }
  *isnull = true;
  return static_cast<Datum>(0);
}

void PushString(JsonbParseState** state, JsonbIteratorToken token, const char* text) {
  JsonbValue value;
  value.type = jbvString;
  value.val.string.val = const_cast<char*>(text);
  value.val.string.len = static_cast<int>(strlen(text));
  pushJsonbValue(state, token, &value);
}

// {"horizon": "run:*", "qos_tier": "default", ...}: the pattern of each setting.
Datum SourcesJson(const PolicyRow* const* sources) {
  JsonbParseState* state = nullptr;
  pushJsonbValue(&state, WJB_BEGIN_OBJECT, nullptr);
  for (int i = 0; i < kPolicySettings; ++i) {
    PushString(&state, WJB_KEY, kSettingNames[i]);
    PushString(&state, WJB_VALUE, sources[i]->is_default ? "default" : sources[i]->pattern);
  }
  return JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, nullptr)));
}

}  // namespace

const PolicyRow default_policies[kDefaultPolicies] = {
    {"runtime.codex_worker_summaries", true, kRetention, Retention(3 * USECS_PER_DAY, 10000, QosTier::kWarm)},
    {"runtime.codex_worker_events", true, kRetention, Retention(USECS_PER_DAY, 3000, QosTier::kHot)},
    {"runtime.notifications", true, kRetention, Retention(12 * USECS_PER_HOUR, 500, QosTier::kCold)},
    {"runtime.run_summaries", true, kRetention, Retention(7 * USECS_PER_DAY, 20000, QosTier::kWarm)},
    {"*", true, kAll, Retention(USECS_PER_DAY, 10000, QosTier::kWarm)},
};

const char* QosTierName(QosTier tier) {
  switch (tier) {
    case QosTier::kHot:
      return "hot";
    case QosTier::kCold:
      return "cold";
    case QosTier::kWarm:
      break;
  }
  return "warm";
}

void CopySetting(Policy* to, const Policy& from, PolicySetting setting) {
  switch (setting) {
    case PolicySetting::kHorizon:
      to->horizon_us = from.horizon_us;
      break;
    case PolicySetting::kReplayBudget:
      to->replay_budget = from.replay_budget;
      break;
    case PolicySetting::kQosTier:
      to->qos_tier = from.qos_tier;
      break;
    case PolicySetting::kMaxPayload:
      to->max_payload = from.max_payload;
      break;
    case PolicySetting::kPayloadMode:
      to->pointer = from.pointer;
      break;
    case PolicySetting::kMaxInline:
      to->max_inline = from.max_inline;
      break;
    case PolicySetting::kPublishRate:
      to->publish_rate = from.publish_rate;
      break;
    case PolicySetting::kSnapshotSource:
      to->snapshot_source = from.snapshot_source;
      break;
  }
}

int64 HorizonToUs(const Interval* horizon) {
  const int64 days = static_cast<int64>(horizon->month) * DAYS_PER_MONTH + horizon->day;
  const int64 us = days * USECS_PER_DAY + horizon->time;  // the table's check keeps it far from overflow
  return us <= 0 ? kNoLimit : us;
}

extern "C" {

PG_FUNCTION_INFO_V1(oa_sync_policies_changed);
PG_FUNCTION_INFO_V1(sync_policy_of);
PG_FUNCTION_INFO_V1(sync_default_policies);

// AFTER statement trigger of sync_topic_policies: every backend is to read it afresh, once this commits.
Datum oa_sync_policies_changed(PG_FUNCTION_ARGS) {
  if (!CALLED_AS_TRIGGER(fcinfo)) {
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("oa_sync_policies_changed() is a trigger function")));
  }
  CacheInvalidateRelcache(reinterpret_cast<const TriggerData*>(fcinfo->context)->tg_relation);
  return PointerGetDatum(nullptr);
}

// sync_policy_of(topic): one row with the effective settings, and where each comes from.
Datum sync_policy_of(PG_FUNCTION_ARGS) {
  TupleDesc desc = nullptr;
  if (get_call_result_type(fcinfo, nullptr, &desc) != TYPEFUNC_COMPOSITE) elog(ERROR, "a row type was expected");
  const char* topic = text_to_cstring(PG_GETARG_TEXT_PP(0));
  if (!IsValidTopic(topic)) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid topic \"%s\"", topic),
                    errdetail("A topic is 1 to %zu bytes of letters, digits and _ . : / -", kMaxTopicBytes)));
  }
  Policy policy = {};
  const PolicyRow* sources[kPolicySettings] = {};
  ResolvePolicy(topic, &policy, sources);
  Datum values[kPolicySettings + 1];
  bool isnull[kPolicySettings + 1] = {};
  for (int i = 0; i < kPolicySettings; ++i) {
    values[i] = SettingDatum(policy, static_cast<PolicySetting>(i), &isnull[i]);
  }
  values[kPolicySettings] = SourcesJson(sources);
  PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, isnull)));
}

// The built-in policies, in the shape of the table.
Datum sync_default_policies(PG_FUNCTION_ARGS) {
  ReturnSetInfo* set = BeginSet(fcinfo);
  for (const PolicyRow& row : default_policies) {
    Datum values[kPolicySettings + 1];
    bool isnull[kPolicySettings + 1] = {};
    values[0] = CStringGetTextDatum(row.pattern);
    for (int i = 0; i < kPolicySettings; ++i) {
      const auto setting = static_cast<PolicySetting>(i);
      values[i + 1] = SettingDatum(row.values, setting, &isnull[i + 1]);
      isnull[i + 1] |= !row.States(setting);
    }
    tuplestore_putvalues(set->setResult, set->setDesc, values, isnull);
  }
  return static_cast<Datum>(0);
}
}

}  // namespace oasync
