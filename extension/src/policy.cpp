#include "policy.h"

extern "C" {
#include "access/table.h"
#include "access/tableam.h"
#include "executor/tuptable.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
}

#include <algorithm>

#include "journal.h"
#include "policy_rows.h"
#include "text_template.h"
#include "topic_pattern.h"

namespace oasync {
namespace {

struct MemoEntry {
  char topic[kMaxTopicBytes];  // the hash key, zero padded
  Policy policy;
};

// Above it the memo is begun afresh: sessions that go through millions of topics exist.
constexpr long kMaxMemo = 4096;

struct Cache {
  int row_count;
  PolicyRow* rows;  // what was set, in the order in which patterns decide
  bool capture_limits;
  HTAB* memo;
  MemoEntry* last;  // the topic asked last
  size_t last_len;
};

Cache cache;
bool cache_valid = false;
Oid cache_relid = InvalidOid;
uint64 invalidations = 0;  // counts, so that one that comes while the cache is filled is not missed
MemoryContext cache_context = nullptr;

void OnInvalidation(Datum, Oid relid) {
  // May be called at any time: only mark.
  if (relid != InvalidOid && relid != cache_relid) return;
  cache_valid = false;
  ++invalidations;
}

// The columns of sync_topic_policies; a setting's is kColFirstSetting + its number.
constexpr int kColPattern = 1;
constexpr int kColFirstSetting = 2;

int64 Limit(int64 stored) { return stored <= 0 ? kNoLimit : stored; }

void ReadSetting(Policy* policy, PolicySetting setting, Datum value) {
  switch (setting) {
    case PolicySetting::kHorizon:
      policy->horizon_us = HorizonToUs(DatumGetIntervalP(value));
      break;
    case PolicySetting::kReplayBudget:
      policy->replay_budget = Limit(DatumGetInt64(value));
      break;
    case PolicySetting::kQosTier: {
      const char* name = TextDatumGetCString(value);
      policy->qos_tier = name[0] == 'h' ? QosTier::kHot : name[0] == 'c' ? QosTier::kCold : QosTier::kWarm;
      break;
    }
    case PolicySetting::kMaxPayload:
      policy->max_payload = Limit(DatumGetInt64(value));
      break;
    case PolicySetting::kPayloadMode:
      policy->pointer = strcmp(TextDatumGetCString(value), "pointer") == 0;
      break;
    case PolicySetting::kMaxInline:
      policy->max_inline = Limit(DatumGetInt64(value));
      break;
    case PolicySetting::kPublishRate:
      policy->publish_rate = Limit(DatumGetInt32(value));
      break;
    case PolicySetting::kSnapshotSource:
      policy->snapshot_source = TextDatumGetCString(value);
      break;
  }
}

void AddRow(TupleTableSlot* slot, int* cap) {
  if (cache.row_count == *cap) {
    *cap *= 2;
    cache.rows = static_cast<PolicyRow*>(repalloc(cache.rows, sizeof(PolicyRow) * static_cast<Size>(*cap)));
  }
  PolicyRow* row = &cache.rows[cache.row_count];
  *row = PolicyRow{};
  bool isnull = true;
  row->pattern = TextDatumGetCString(slot_getattr(slot, kColPattern, &isnull));
  for (int i = 0; i < kPolicySettings; ++i) {
    const Datum value = slot_getattr(slot, kColFirstSetting + i, &isnull);
    if (isnull) continue;
    row->stated |= 1U << i;
    ReadSetting(&row->values, static_cast<PolicySetting>(i), value);
  }
  const Policy& values = row->values;
  cache.capture_limits |= (row->States(PolicySetting::kMaxPayload) && values.max_payload != kNoLimit) ||
                          (row->States(PolicySetting::kPayloadMode) && values.pointer) ||
                          (row->States(PolicySetting::kMaxInline) && values.max_inline != kNoLimit) ||
                          (row->States(PolicySetting::kPublishRate) && values.publish_rate != kNoLimit);
  ++cache.row_count;
}

// Reads the table, small and once per backend and change. Application roles need no grant on it. What is committed now
// decides, but all of it as of one moment: SnapshotSelf could meet the new version of a row before its commit and the
// old one after it, see neither, and retention would drop what that policy keeps.
void ReadTable(Oid relid) {
  Relation rel = table_open(relid, AccessShareLock);
  TupleTableSlot* slot = table_slot_create(rel, nullptr);
  const Snapshot latest = RegisterSnapshot(GetLatestSnapshot());
  TableScanDesc scan = table_beginscan(rel, latest, 0, nullptr);
  int cap = 8;
  cache.rows = static_cast<PolicyRow*>(palloc(sizeof(PolicyRow) * static_cast<Size>(cap)));
  while (table_scan_getnextslot(scan, ForwardScanDirection, slot)) AddRow(slot, &cap);
  table_endscan(scan);
  UnregisterSnapshot(latest);
  ExecDropSingleTupleTableSlot(slot);
  table_close(rel, AccessShareLock);
  std::sort(cache.rows, cache.rows + cache.row_count,
            [](const PolicyRow& a, const PolicyRow& b) { return DecidesBefore(a.pattern, b.pattern); });
}

void MakeMemo() {
  HASHCTL control = {};
  control.keysize = kMaxTopicBytes;
  control.entrysize = sizeof(MemoEntry);
  control.hcxt = cache_context;
  cache.memo = hash_create("oa_sync policies", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
  cache.last = nullptr;
}

void FillCache() {
  for (int attempt = 0; !cache_valid; ++attempt) {
    const uint64 before = invalidations;
    if (cache_context == nullptr) {
      cache_context = AllocSetContextCreate(TopMemoryContext, "oa_sync policies", ALLOCSET_SMALL_SIZES);
    }
    MemoryContextReset(cache_context);
    cache = Cache{};
    const Journal* journal = FindJournal();
    const Oid relid = journal == nullptr ? InvalidOid : journal->policies;
    // From here on invalidations of it are seen. Until ALTER EXTENSION oa_sync UPDATE there may be no such table: the
    // update makes it, and alters this other one.
    cache_relid = relid == InvalidOid && journal != nullptr ? journal->sequences : relid;
    const ContextSwitch in(cache_context);
    if (relid != InvalidOid) ReadTable(relid);
    MakeMemo();
    in.Back();
    // Without the extension there is nothing whose invalidation would be heard: look again the next time.
    cache_valid = before == invalidations && cache_relid != InvalidOid;
    if (cache_relid == InvalidOid || attempt >= 3) break;
  }
}

void Resolve(std::string_view topic, Policy* policy, const PolicyRow** sources) {
  unsigned missing = (1U << kPolicySettings) - 1;
  const auto take = [&](const PolicyRow& row) {
    if ((row.stated & missing) == 0 || !MatchesPattern(row.pattern, topic)) return;
    for (int i = 0; i < kPolicySettings; ++i) {
      if ((row.stated & missing & (1U << i)) == 0) continue;
      CopySetting(policy, row.values, static_cast<PolicySetting>(i));
      if (sources != nullptr) sources[i] = &row;
    }
    missing &= ~row.stated;
  };
  for (int i = 0; i < cache.row_count; ++i) take(cache.rows[i]);
  for (int i = 0; i < kDefaultPolicies; ++i) take(default_policies[i]);
}

}  // namespace

const Policy* PolicyOf(std::string_view topic) {
  if (!cache_valid) FillCache();
  const size_t len = Min(topic.size(), kMaxTopicBytes);
  if (cache.last != nullptr && std::string_view(cache.last->topic, cache.last_len) == topic) return &cache.last->policy;
  char key[kMaxTopicBytes] = {};
  memcpy(key, topic.data(), len);
  if (hash_get_num_entries(cache.memo) >= kMaxMemo) {
    hash_destroy(cache.memo);
    MakeMemo();
  }
  bool found = false;
  auto* entry = static_cast<MemoEntry*>(hash_search(cache.memo, key, HASH_ENTER, &found));
  if (!found) Resolve(topic, &entry->policy, nullptr);
  cache.last = entry;
  cache.last_len = len;
  return &entry->policy;
}

void ResolvePolicy(std::string_view topic, Policy* policy, const PolicyRow** sources) {
  if (!cache_valid) FillCache();
  Resolve(topic, policy, sources);
}

const char* DecidingPattern(std::string_view topic, PolicySetting setting) {
  Policy policy;
  const PolicyRow* sources[kPolicySettings] = {};
  ResolvePolicy(topic, &policy, sources);
  const PolicyRow* source = sources[static_cast<int>(setting)];
  return source->is_default ? nullptr : source->pattern;
}

int64 LongestHorizon() {
  if (!cache_valid) FillCache();
  int64 longest = 0;
  const auto take = [&longest](const PolicyRow& row) {
    const int64 horizon = row.values.horizon_us;
    if (!row.States(PolicySetting::kHorizon) || longest == kNoLimit) return;
    longest = horizon == kNoLimit ? kNoLimit : Max(longest, horizon);
  };
  for (int i = 0; i < cache.row_count; ++i) take(cache.rows[i]);
  for (int i = 0; i < kDefaultPolicies; ++i) {
    // A default counts unless what was set decides for every topic that it could decide for.
    bool hidden = false;
    for (int r = 0; r < cache.row_count && !hidden; ++r) {
      const PolicyRow& row = cache.rows[r];
      hidden = row.States(PolicySetting::kHorizon) && MatchesPattern(row.pattern, default_policies[i].pattern);
    }
    if (!hidden) take(default_policies[i]);
  }
  return longest;
}

bool AnyCaptureLimits() {
  if (!cache_valid) FillCache();
  return cache.capture_limits;
}

void WatchPolicies() { CacheRegisterRelcacheCallback(OnInvalidation, PointerGetDatum(nullptr)); }

}  // namespace oasync
