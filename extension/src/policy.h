// Policies: what of a topic an operator decides (sync_topic_policies), with the defaults below it.
//
// A pattern is a topic in which * stands for any run of characters. Of the patterns that match a topic, each setting
// comes from the most specific one that states it (topic_pattern.h), at last from the defaults. Read once and cached
// in the backend; a change of the table is heard by invalidation.
#pragma once

#include "pg.h"

namespace oasync {

enum class QosTier : uint8_t { kHot, kWarm, kCold };

constexpr int64 kNoLimit = -1;  // 0 in the table

struct Policy {
  int64 horizon_us;     // events older than it may go; kNoLimit: kept for ever
  int64 replay_budget;  // events that one resume may replay; kNoLimit
  QosTier qos_tier;
  int64 max_payload;            // bytes; kNoLimit: oa_sync.max_payload alone
  bool pointer;                 // payloads are never in the journal
  int64 max_inline;             // bytes; a larger payload is not in the journal; kNoLimit
  int64 publish_rate;           // events a second, of all sessions together; kNoLimit
  const char* snapshot_source;  // null: the published tables themselves
};

// The settings of a policy, in the order of the table's columns.
enum class PolicySetting : uint8_t {
  kHorizon,
  kReplayBudget,
  kQosTier,
  kMaxPayload,
  kPayloadMode,
  kMaxInline,
  kPublishRate,
  kSnapshotSource,
};
constexpr int kPolicySettings = 8;

// The policy of a topic. Never null; valid until the next call of a function of this header.
// REQUIRES a transaction. May raise an ERROR (reading the table).
const Policy* PolicyOf(std::string_view topic);

// The pattern that decides a setting of a topic: for messages. Null when it is a default.
const char* DecidingPattern(std::string_view topic, PolicySetting setting);

// The text of a tier: hot, warm, cold.
const char* QosTierName(QosTier tier);

// The longest horizon that any topic can have, kNoLimit when one is kept for ever.
int64 LongestHorizon();

// False while no policy and no default limits what is captured: the hot path asks only this.
bool AnyCaptureLimits();

// Registers the invalidation callback. Called from _PG_init; children of the postmaster inherit it.
void WatchPolicies();

}  // namespace oasync
