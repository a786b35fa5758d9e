#include "since.h"

#include <gtest/gtest.h>

namespace oasync::terminal {
namespace {

constexpr int64_t kNow = 1795412764000000;  // 2026-11-23T05:46:04Z

TEST(Since, Words) {
  EXPECT_EQ(ParseSince("now", kNow)->kind, Since::Kind::kNow);
  EXPECT_EQ(ParseSince("beginning", kNow)->kind, Since::Kind::kBeginning);
}

TEST(Since, Watermarks) {
  EXPECT_EQ(ParseSince("41", kNow)->kind, Since::Kind::kWatermark);
  EXPECT_EQ(ParseSince("41", kNow)->watermark, 41u);
  EXPECT_EQ(ParseSince("18446744073709551615", kNow)->watermark, UINT64_MAX);
}

TEST(Since, Ages) {
  EXPECT_EQ(ParseSince("10m", kNow)->time_us, kNow - 600'000'000);
  EXPECT_EQ(ParseSince("1.5s", kNow)->time_us, kNow - 1'500'000);
  EXPECT_EQ(ParseSince("250ms", kNow)->time_us, kNow - 250'000);
  EXPECT_EQ(ParseSince("7d", kNow)->time_us, kNow - int64_t{7} * 86'400'000'000);
}

TEST(Since, Times) {
  for (const char* text : {"2026-11-23T05:46:04Z", "2026-11-23 05:46:04", "2026-11-23T05:46:04.000000Z",
                           "2026-11-23T07:46:04+02:00", "2026-11-23T00:16:04-05:30"}) {
    const auto since = ParseSince(text, 0);
    ASSERT_TRUE(since) << text;
    EXPECT_EQ(since->kind, Since::Kind::kTime);
    EXPECT_EQ(since->time_us, kNow) << text;
  }
  EXPECT_EQ(ParseSince("2026-11-23T05:46:04.25Z", 0)->time_us, kNow + 250'000);
  EXPECT_EQ(ParseSince("1970-01-02", 0)->time_us, 86'400'000'000);
}

TEST(Since, RefusesTheRest) {
  for (const char* text :
       {"", "yesterday", "-1", "10", "m", "10 m", "10x", "-5m", "1e3s", "18446744073709551616", "nan", "2026-13-01",
        "2026-11-23T25:00:00", "2026-11-23T05:46:04+2", "2026-11-23x", "99999999999d"}) {
    if (std::string(text) == "10") continue;  // a watermark
    EXPECT_FALSE(ParseSince(text, kNow)) << text;
  }
}

}  // namespace
}  // namespace oasync::terminal
