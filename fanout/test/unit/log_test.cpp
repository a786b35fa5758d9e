#include "base/log.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace oasync {
namespace {

using Json = nlohmann::json;

Json Members(const char* event, std::string_view message, std::initializer_list<LogField> fields) {
  return Json::parse("{" + LogJsonMembers(event, message, fields) + "}");
}

TEST(Log, FieldsStandInTheMessageAndBesideIt) {
  const std::string why = "the server closed it";
  EXPECT_EQ(LogText("tail.slot_lost", "tail: slot {slot} lost: {why} ({n})", {{"slot", "s1"}, {"why", why}, {"n", 42}}),
            "[tail.slot_lost] tail: slot s1 lost: the server closed it (42)");
  const Json json = Members("tail.slot_lost", "tail: slot {slot} lost: {why}",
                            {{"slot", "s1"}, {"why", why}, {"n", uint64_t{1} << 63}});
  EXPECT_EQ(json["event"], "tail.slot_lost");
  EXPECT_EQ(json["message"], "tail: slot s1 lost: the server closed it");
  EXPECT_EQ(json["slot"], "s1");
  EXPECT_EQ(json["n"], uint64_t{1} << 63);
}

TEST(Log, WhatIsNoFieldStaysAsItIs) {
  EXPECT_EQ(LogText("a.b", "{x} {} { {y", {{"z", 1}}), "[a.b] {x} {} { {y");
  // A value with braces is not looked at again.
  EXPECT_EQ(LogText("a.b", "{x}", {{"x", "{x}{y}"}, {"y", 1}}), "[a.b] {x}{y}");
}

TEST(Log, ADecisionIsOneLine) {
  EXPECT_EQ(LogText("a.b", "{x}", {{"x", "two\nlines\r\tmore\x1b[31m"}}), "[a.b] two lines  more [31m");
  EXPECT_EQ(LogJsonMembers("a.b", "{x}", {{"x", "two\nlines"}}).find('\n'), std::string::npos);
  EXPECT_EQ(Members("a.b", "{x}", {{"x", "two\nlines \"quoted\""}})["x"], "two\nlines \"quoted\"");
}

TEST(Log, WhatIsNoUtf8IsNotPassedOn) {
  const Json json = Members("a.b", "it says {x}", {{"x", "\xff\xfe"}});
  EXPECT_EQ(json["x"], "(not UTF-8)");
  EXPECT_EQ(json["message"], "(not UTF-8)");
}

}  // namespace
}  // namespace oasync
