#include "pg/pg_binary.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>

namespace oasync::pg {
namespace {

using namespace std::string_literals;

TEST(PgBinaryTest, IntegersThereAndBack) {
  for (const int64_t value : {int64_t{0}, int64_t{1}, int64_t{-1}, std::numeric_limits<int64_t>::max(),
                              std::numeric_limits<int64_t>::min()}) {
    EXPECT_EQ(ParseBinaryInt(BinaryInt8(value)), value);
  }
  EXPECT_EQ(ParseBinaryInt(BinaryInt4(-5)), -5);
  EXPECT_EQ(ParseBinaryInt("\xff\xfe"), -2);
  EXPECT_FALSE(ParseBinaryInt(""));
  EXPECT_FALSE(ParseBinaryInt("abc"));
}

TEST(PgBinaryTest, Arrays) {
  EXPECT_EQ(BinaryTextArray({}), "\0\0\0\0\0\0\0\0\0\0\0\x19"s);
  EXPECT_EQ(BinaryTextArray({"ab", ""}), "\0\0\0\1\0\0\0\0\0\0\0\x19\0\0\0\2\0\0\0\1\0\0\0\2"s + "ab" + "\0\0\0\0"s);
  EXPECT_EQ(BinaryInt8Array({-1}), "\0\0\0\1\0\0\0\0\0\0\0\x14\0\0\0\1\0\0\0\1\0\0\0\x08"s + std::string(8, '\xff'));
}

}  // namespace
}  // namespace oasync::pg
