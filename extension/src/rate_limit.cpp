#include "rate_limit.h"

extern "C" {
#include "common/hashfn.h"
#include "storage/proc.h"
#include "storage/spin.h"
}

#include <ctime>

#include "rate_set.h"
#include "settings.h"
#include "shared_state.h"

namespace oasync {

// Two cache lines, so that sets do not disturb each other.
struct alignas(128) RateSet {
  slock_t lock;
  RateBucket buckets[kRateSetBuckets];
};
static_assert(sizeof(RateSet) == 128);

namespace {

uint32 SetCount() { return (static_cast<uint32>(max_rate_limited_topics) + kRateSetBuckets - 1) / kRateSetBuckets; }

// Monotonic: a clock that is set back must not stop a topic.
int64 Now() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64>(now.tv_sec) * 1000000000 + now.tv_nsec;
}

// Two topics with the same 64 bits would share a bucket; nobody will see it.
uint64 Key(std::string_view topic) {
  const uint64 hash = hash_bytes_extended(reinterpret_cast<const unsigned char*>(topic.data()),
                                          static_cast<int>(topic.size()), MyDatabaseId);
  return hash == 0 ? 1 : hash;
}

RateSet* SetOf(uint64 key) { return &shared->rate_sets[(key >> 32) % SetCount()]; }

// What this subtransaction took, as a bucket of its own would stand: what came back with time is no longer to be given
// back. Of so many topics at once; of further ones the tokens stay taken.
constexpr uint64 kTakenTopics = 64;
struct Taken {
  uint64 key;  // 0: none
  int64 busy_until;
};
struct {
  LocalTransactionId transaction;
  SubTransactionId sub;
  Taken topics[kTakenTopics];
} taken;

void BeginTaken() {
  const SubTransactionId sub = GetCurrentSubTransactionId();
  if (likely(taken.transaction == MyProc->lxid && taken.sub == sub)) return;
  taken = {MyProc->lxid, sub, {}};
}

// The topic's place, or a free one for it, or that of another.
Taken& TakenOf(uint64 key) {
  for (uint64 i = 0; i < kTakenTopics; ++i) {
    Taken& place = taken.topics[(key + i) % kTakenTopics];
    if (place.key == key || place.key == 0) return place;
  }
  return taken.topics[key % kTakenTopics];
}

void GiveBackTaken(int64 now) {
  for (const Taken& topic : taken.topics) {
    if (topic.key == 0 || topic.busy_until <= now) continue;
    RateSet* set = SetOf(topic.key);
    SpinLockAcquire(&set->lock);
    GiveBackTokens(set->buckets, topic.key, topic.busy_until - now);
    SpinLockRelease(&set->lock);
  }
  taken = {};
}

}  // namespace

PublishToken TakePublishToken(std::string_view topic, int64 rate) {
  BeginTaken();
  const uint64 key = Key(topic);
  RateSet* set = SetOf(key);
  const int64 now = Now();
  SpinLockAcquire(&set->lock);
  const int64 wait = TakeToken(set->buckets, key, rate, now);
  SpinLockRelease(&set->lock);
  Taken& mine = TakenOf(key);
  if (wait != 0) {
    const bool first = mine.key != key;
    GiveBackTaken(now);
    return {wait, first};
  }
  if (mine.key != key) mine = {key, 0};
  mine.busy_until = Max(mine.busy_until, now) + TokenCost(rate);
  return {0, false};
}

Size RateTableSize() { return mul_size(SetCount(), sizeof(RateSet)); }

void InitRateTable(void* memory) {
  shared->rate_sets = static_cast<RateSet*>(memory);
  for (uint32 i = 0; i < SetCount(); ++i) SpinLockInit(&shared->rate_sets[i].lock);
}

}  // namespace oasync
