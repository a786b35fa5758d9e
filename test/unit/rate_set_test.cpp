#include "rate_set.h"

#include <gtest/gtest.h>

namespace oasync {
namespace {

constexpr int64_t kSecond = 1000000000;
constexpr int64_t kStart = 1000 * kSecond;

// How many of `tries` events of a topic are taken at one moment.
int Taken(RateBucket* set, uint64_t key, int64_t rate, int64_t now, int tries) {
  int taken = 0;
  for (int i = 0; i < tries; ++i) taken += TakeToken(set, key, rate, now) == 0;
  return taken;
}

TEST(TakeToken, ASecondsWorthAtOnceThenNothing) {
  for (const int64_t rate : {1, 3, 10, 999, 1000000}) {
    RateBucket set[kRateSetBuckets] = {};
    EXPECT_EQ(Taken(set, 9, rate, kStart, static_cast<int>(rate) + 50), rate) << rate;
  }
}

TEST(TakeToken, RefillsAtTheRate) {
  RateBucket set[kRateSetBuckets] = {};
  EXPECT_EQ(Taken(set, 9, 10, kStart, 100), 10);
  EXPECT_EQ(Taken(set, 9, 10, kStart + kSecond / 2, 100), 5);
  EXPECT_EQ(Taken(set, 9, 10, kStart + kSecond / 2, 100), 0);
  EXPECT_EQ(Taken(set, 9, 10, kStart + 100 * kSecond, 100), 10) << "not more than a second's worth is saved";
}

TEST(TakeToken, OverALongTimeTheRateIsKept) {
  RateBucket set[kRateSetBuckets] = {};
  int taken = 0;
  for (int64_t now = kStart; now < kStart + 60 * kSecond; now += 1234567) taken += Taken(set, 9, 70, now, 2);
  EXPECT_GE(taken, 60 * 70 - 1);
  EXPECT_LE(taken, 61 * 70 + 1);
}

TEST(TakeToken, SaysHowLongToWaitAndTakesNothingThen) {
  RateBucket set[kRateSetBuckets] = {};
  EXPECT_EQ(Taken(set, 9, 4, kStart, 4), 4);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(TakeToken(set, 9, 4, kStart), kSecond / 4);
  EXPECT_NE(TakeToken(set, 9, 4, kStart + kSecond / 4 - 1), 0);
  EXPECT_EQ(TakeToken(set, 9, 4, kStart + kSecond / 4), 0);
}

TEST(TakeToken, AChangedRateIsInForceAtOnce) {
  RateBucket set[kRateSetBuckets] = {};
  EXPECT_EQ(Taken(set, 9, 1000, kStart, 2000), 1000);
  EXPECT_EQ(Taken(set, 9, 1, kStart + kSecond, 2000), 1);
  EXPECT_EQ(Taken(set, 9, 1000, kStart + kSecond + 1000000, 2000), 1);
}

TEST(TakeToken, TopicsHaveBucketsOfTheirOwn) {
  RateBucket set[kRateSetBuckets] = {};
  for (uint64_t key = 1; key <= kRateSetBuckets; ++key) EXPECT_EQ(Taken(set, key, 5, kStart, 100), 5);
  for (uint64_t key = 1; key <= kRateSetBuckets; ++key) EXPECT_EQ(Taken(set, key, 5, kStart, 100), 0);
}

TEST(TakeToken, AFullBucketMakesRoomBeforeOneThatIsNot) {
  RateBucket set[kRateSetBuckets] = {};
  for (uint64_t key = 1; key <= kRateSetBuckets; ++key) Taken(set, key, 5, kStart, key == 4 ? 1 : 5);
  const int64_t later = kStart + kSecond / 5;  // the fourth is full again
  EXPECT_EQ(Taken(set, 99, 5, later, 100), 5);
  for (uint64_t key = 1; key <= kRateSetBuckets; ++key) {
    if (key == 4) continue;
    EXPECT_EQ(Taken(set, key, 5, later, 100), 1) << key;
  }
}

TEST(GiveBackTokens, LeavesTheBucketAsItWas) {
  RateBucket set[kRateSetBuckets] = {};
  EXPECT_EQ(Taken(set, 9, 10, kStart, 4), 4);
  EXPECT_EQ(Taken(set, 8, 10, kStart, 10), 10);
  EXPECT_EQ(Taken(set, 9, 10, kStart, 100), 6);
  GiveBackTokens(set, 9, 6 * TokenCost(10));
  GiveBackTokens(set, 7, TokenCost(10));
  EXPECT_EQ(Taken(set, 9, 10, kStart, 100), 6);
  EXPECT_EQ(Taken(set, 8, 10, kStart, 100), 0);
  EXPECT_EQ(Taken(set, 9, 10, kStart + kSecond, 100), 10) << "never more than a second's worth";
}

TEST(TakeToken, AFreePlaceComesFirst) {
  RateBucket set[kRateSetBuckets] = {};
  EXPECT_EQ(Taken(set, 1, 5, kStart, 100), 5);
  EXPECT_EQ(Taken(set, 2, 5, kStart + 100 * kSecond, 100), 5);
  EXPECT_EQ(set[0].key, 1u);
}

}  // namespace
}  // namespace oasync
