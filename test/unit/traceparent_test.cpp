#include "traceparent.h"

#include <gtest/gtest.h>

#include <string>

namespace oasync {
namespace {

constexpr char kValid[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST(IsTraceparent, TakesTheFormOfLevelOne) {
  EXPECT_TRUE(IsTraceparent(kValid));
  EXPECT_EQ(std::string(kValid).size(), kTraceparentBytes);
  EXPECT_TRUE(IsTraceparent("00-00000000000000000000000000000001-0000000000000001-00"));
  EXPECT_TRUE(IsTraceparent("fe-ffffffffffffffffffffffffffffffff-ffffffffffffffff-ff")) << "a later version";
}

TEST(IsTraceparent, RefusesEverythingElse) {
  for (const char* bad : {
           "",
           "00",
           "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
           "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01 ",
           "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
           " 0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
           "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
           "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
           "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
           "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
           "00-4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-01",
       }) {
    EXPECT_FALSE(IsTraceparent(bad)) << bad;
  }
}

TEST(IsTraceparent, LooksAtEveryCharacter) {
  for (size_t i = 0; i < kTraceparentBytes; ++i) {
    for (const char c : {'g', '/', ':', '`', 'A', '\0', '\xe9'}) {
      std::string value = kValid;
      value[i] = c;
      EXPECT_FALSE(IsTraceparent(value)) << i;
    }
  }
}

}  // namespace
}  // namespace oasync
