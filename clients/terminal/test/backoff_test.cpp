#include "backoff.h"

#include <gtest/gtest.h>

namespace oasync::terminal {
namespace {

TEST(Backoff, DoublesUpToItsLimit) {
  Backoff backoff([](int64_t) { return 0; });
  EXPECT_EQ(backoff.Next(), 400);
  EXPECT_EQ(backoff.Next(), 800);
  EXPECT_EQ(backoff.Next(), 1600);
  for (int i = 0; i < 100; ++i) EXPECT_LE(backoff.Next(), Backoff::kMaxMs);
  EXPECT_EQ(backoff.failures(), 103);
  backoff.Succeeded();
  EXPECT_EQ(backoff.failures(), 0);
  EXPECT_EQ(backoff.Next(), 400);
}

TEST(Backoff, FollowsTheServersAdvice) {
  Backoff backoff([](int64_t limit) { return limit; });
  backoff.Advise(100, 30);
  EXPECT_EQ(backoff.Next(), 130);
  EXPECT_EQ(backoff.Next(), 230);
  backoff.AdviseOnce(2000);
  EXPECT_EQ(backoff.Next(), 2000);
  EXPECT_EQ(backoff.Next(), 830) << "the advice was for once";
}

TEST(Backoff, ButNotBeyondReason) {
  Backoff backoff([](int64_t limit) { return limit; });
  backoff.Advise(-5, 1'000'000'000);
  EXPECT_LE(backoff.Next(), 2 * Backoff::kMaxMs);
  backoff.AdviseOnce(1'000'000'000'000);
  EXPECT_LE(backoff.Next(), 60000);
}

}  // namespace
}  // namespace oasync::terminal
