#include "json_slice.h"

#include <gtest/gtest.h>

namespace oasync::terminal {
namespace {

TEST(JsonSlice, GivesTheTextAsItStands) {
  const char* object = R"({"a":1.000000000000000000001,"b":{"a":[1,"}"]},"c\"":"x\\","d":[],"e":null})";
  EXPECT_EQ(JsonMember(object, "a"), "1.000000000000000000001");
  EXPECT_EQ(JsonMember(object, "b"), R"({"a":[1,"}"]})");
  EXPECT_EQ(JsonMember(object, "d"), "[]");
  EXPECT_EQ(JsonMember(object, "e"), "null");
  EXPECT_EQ(JsonMember(object, "x"), std::nullopt);
}

TEST(JsonSlice, SpacesDoNotMatter) {
  EXPECT_EQ(JsonMember(" { \"a\" : [ 1 , 2 ] , \"b\" : 3 } ", "a"), "[ 1 , 2 ]");
  EXPECT_EQ(JsonMember(" { \"a\" : [ 1 , 2 ] , \"b\" : 3 } ", "b"), "3");
}

TEST(JsonSlice, Lists) {
  const auto elements = JsonElements(R"([{"a":1}, "x,]" ,3,[4,[5]]])");
  ASSERT_EQ(elements.size(), 4u);
  EXPECT_EQ(elements[0], R"({"a":1})");
  EXPECT_EQ(elements[1], R"("x,]")");
  EXPECT_EQ(elements[2], "3");
  EXPECT_EQ(elements[3], "[4,[5]]");
  EXPECT_TRUE(JsonElements("[]").empty());
  EXPECT_TRUE(JsonElements("{}").empty());
}

TEST(JsonSlice, StaysInsideTextThatIsNoJson) {
  for (const char* text :
       {"", "{", "{\"", "{\"a", "{\"a\"", "{\"a\":", "{\"a\":\"\\", "[", "[1", "[1,", "[[", "{]", "[}"}) {
    JsonMember(text, "a");
    JsonElements(text);
  }
}

}  // namespace
}  // namespace oasync::terminal
