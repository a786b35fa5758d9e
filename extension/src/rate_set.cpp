#include "rate_set.h"

namespace oasync {
namespace {

RateBucket* FindBucket(RateBucket* set, uint64_t key) {
  RateBucket* fullest = &set[0];
  for (int i = 0; i < kRateSetBuckets; ++i) {
    if (set[i].key == key) return &set[i];
    // A free one was never used: its busy_until is 0, long ago.
    if (set[i].busy_until < fullest->busy_until) fullest = &set[i];
  }
  *fullest = {key, 0};
  return fullest;
}

}  // namespace

int64_t TakeToken(RateBucket* set, uint64_t key, int64_t rate, int64_t now) {
  RateBucket* bucket = FindBucket(set, key);
  const int64_t one = TokenCost(rate);
  const int64_t until = (bucket->busy_until > now ? bucket->busy_until : now) + one;
  if (until - now > kRateBurstNs) return until - now - kRateBurstNs;
  bucket->busy_until = until;
  return 0;
}

void GiveBackTokens(RateBucket* set, uint64_t key, int64_t cost) {
  for (int i = 0; i < kRateSetBuckets; ++i) {
    if (set[i].key == key) set[i].busy_until -= cost;
  }
}

}  // namespace oasync
