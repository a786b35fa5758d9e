#include "pg/slot_watch.h"

#include <gtest/gtest.h>

namespace oasync::pg {
namespace {

TEST(WalLag, IsTheAgeOfTheOldestPositionThatIsNotReceived) {
  const TimePoint start{};
  WalLag lag;
  EXPECT_EQ(lag.Behind(start, 100), Millis(0));
  lag.Note(start, 200);
  lag.Note(start + Millis(2000), 300);
  EXPECT_EQ(lag.Behind(start + Millis(5000), 100), Millis(5000));
  EXPECT_EQ(lag.Behind(start + Millis(5000), 200), Millis(3000));
  EXPECT_EQ(lag.Behind(start + Millis(5000), 300), Millis(0));
}

TEST(WalLag, AServerThatStandsStillIsNotCountedAgain) {
  const TimePoint start{};
  WalLag lag;
  lag.Note(start, 200);
  lag.Note(start + Millis(2000), 200);
  EXPECT_EQ(lag.Behind(start + Millis(3000), 100), Millis(3000));
  lag.Clear();
  EXPECT_EQ(lag.Behind(start + Millis(3000), 100), Millis(0));
}

TEST(WalLag, KeepsItsOldestPositionsWhenThereAreTooMany) {
  const TimePoint start{};
  WalLag lag;
  for (uint64_t i = 1; i <= 100'000; ++i) lag.Note(start + Millis(static_cast<int64_t>(i)), i);
  EXPECT_EQ(lag.Behind(start + Millis(100'001), 0), Millis(100'000));
}

}  // namespace
}  // namespace oasync::pg
