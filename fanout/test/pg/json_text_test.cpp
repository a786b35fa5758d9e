#include "pg/json_text.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>

namespace oasync::pg {
namespace {

std::string JsonString(std::string_view text) {
  std::string out;
  AppendJsonString(out, text);
  return out;
}

std::string JsonNumber(uint64_t value) {
  std::string out;
  AppendJsonNumber(out, value);
  return out;
}

std::string Base64(std::string_view bytes) {
  std::string out;
  AppendBase64(out, bytes);
  return out;
}

std::string Rfc3339(int64_t us) {
  std::string out;
  AppendRfc3339(out, us);
  return out;
}

TEST(JsonTextTest, EscapesWhatMustBeEscapedAndNothingElse) {
  EXPECT_EQ(JsonString(""), "\"\"");
  EXPECT_EQ(JsonString("run:42/é€😀"), "\"run:42/é€😀\"");
  EXPECT_EQ(JsonString("a\"b\\c/"), "\"a\\\"b\\\\c/\"");
  EXPECT_EQ(JsonString("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\"");
  EXPECT_EQ(JsonString(std::string_view("\0\x01\x1f\x7f", 4)), "\"\\u0000\\u0001\\u001f\x7f\"");
}

TEST(JsonTextTest, NumbersAboveTwoToThe53AreStrings) {
  EXPECT_EQ(JsonNumber(0), "0");
  EXPECT_EQ(JsonNumber(9007199254740992), "9007199254740992");
  EXPECT_EQ(JsonNumber(9007199254740993), "\"9007199254740993\"");
  EXPECT_EQ(JsonNumber(std::numeric_limits<uint64_t>::max()), "\"18446744073709551615\"");
}

TEST(JsonTextTest, Base64Vectors) {
  EXPECT_EQ(Base64(""), "");
  EXPECT_EQ(Base64("f"), "Zg==");
  EXPECT_EQ(Base64("fo"), "Zm8=");
  EXPECT_EQ(Base64("foo"), "Zm9v");
  EXPECT_EQ(Base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(Base64("\xff\xfe\xfd"), "//79");
}

TEST(JsonTextTest, Times) {
  EXPECT_EQ(Rfc3339(0), "1970-01-01T00:00:00.000000Z");
  EXPECT_EQ(Rfc3339(-1), "1969-12-31T23:59:59.999999Z");
  EXPECT_EQ(Rfc3339(951'782'400'000'000), "2000-02-29T00:00:00.000000Z");
  EXPECT_EQ(Rfc3339(1'795'378'501'000'042), "2026-11-22T20:15:01.000042Z");
  EXPECT_EQ(Rfc3339(4'107'542'400'000'000), "2100-03-01T00:00:00.000000Z");
  EXPECT_EQ(Rfc3339(std::numeric_limits<int64_t>::max()), "9999-12-31T23:59:59.999999Z");
  EXPECT_EQ(Rfc3339(std::numeric_limits<int64_t>::min()), "0000-01-01T00:00:00.000000Z");
}

// Every day of 800 years follows the one before it.
TEST(JsonTextTest, TimesFollowTheCalendar) {
  static constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  int64_t day = -719'528;  // 0000-01-01
  for (int year = 0; year < 800; ++year) {
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    for (int month = 1; month <= 12; ++month) {
      const int days = kDays[month - 1] + (leap && month == 2 ? 1 : 0);
      for (int of_month = 1; of_month <= days; ++of_month, ++day) {
        char expected[40];
        snprintf(expected, sizeof expected, "%04d-%02d-%02dT12:34:56.789000Z", year, month, of_month);
        ASSERT_EQ(Rfc3339((day * 86'400 + 45'296) * 1'000'000 + 789'000), expected);
      }
    }
  }
}

TEST(JsonTextTest, Utf8) {
  EXPECT_TRUE(IsUtf8(""));
  EXPECT_TRUE(IsUtf8("plain ascii, longer than eight bytes"));
  EXPECT_TRUE(IsUtf8("ascii, then é € 😀 and \xF4\x8F\xBF\xBF"));
  EXPECT_FALSE(IsUtf8("\x80"));
  EXPECT_FALSE(IsUtf8("\xC0\x80"));          // overlong
  EXPECT_FALSE(IsUtf8("\xE0\x9F\xBF"));      // overlong
  EXPECT_FALSE(IsUtf8("\xED\xA0\x80"));      // surrogate
  EXPECT_FALSE(IsUtf8("\xF0\x8F\xBF\xBF"));  // overlong
  EXPECT_FALSE(IsUtf8("\xF4\x90\x80\x80"));  // above U+10FFFF
  EXPECT_FALSE(IsUtf8("\xF5\x80\x80\x80"));
  EXPECT_FALSE(IsUtf8("cut off \xE2\x82"));
  EXPECT_FALSE(IsUtf8("12345678\xE2(\xA1"));
}

}  // namespace
}  // namespace oasync::pg
