// A set of rate limits: a few topics that share a lock, each with a bucket of tokens.
//
// A bucket is one number, the time until which it is in debt (the generic cell rate algorithm): an event puts it off by
// the time that one event takes at the topic's rate, and is over the rate when that goes further than a second ahead.
// So a second's worth of events may come at once. Knows nothing of PostgreSQL; the caller holds the set's lock.
#pragma once

#include <cstdint>

namespace oasync {

struct RateBucket {
  uint64_t key;        // 0: free
  int64_t busy_until;  // nanoseconds; not after now: the bucket is full, which is also what a new one is
};

constexpr int kRateSetBuckets = 7;
constexpr int64_t kRateBurstNs = 1000000000;

// How far one event puts a bucket off.
inline int64_t TokenCost(int64_t rate) { return kRateBurstNs / rate; }

// Takes one token of the topic `key` (not 0) at `rate` events a second (1 or more). Returns 0, or how many nanoseconds
// from now there will be one; then nothing is taken. A topic that is not in the set takes the place of the one that is
// nearest to a full bucket: when that one was full nothing is forgotten.
int64_t TakeToken(RateBucket* set, uint64_t key, int64_t rate, int64_t now);

// Gives tokens back, by what they cost.
void GiveBackTokens(RateBucket* set, uint64_t key, int64_t cost);

}  // namespace oasync
