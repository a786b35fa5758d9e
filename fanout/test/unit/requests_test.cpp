// What clients may ask for.
#include "wire/requests.h"

#include <gtest/gtest.h>

namespace oasync {
namespace {

Parsed<SubscribeRequest> Parse(const char* text) { return ParseSubscribe(Json::parse(text)); }

TEST(Requests, TopicsAreTrimmedAndDeduplicated) {
  const auto parsed = Parse(R"({"topics":[" a ","b","a","b\n"]})");
  ASSERT_TRUE(parsed.ok()) << parsed.error;
  ASSERT_EQ(parsed.value.topics.size(), 2u);
  EXPECT_EQ(parsed.value.topics[0].name, "a");
  EXPECT_EQ(parsed.value.topics[1].name, "b");
  EXPECT_FALSE(parsed.value.topics[0].cursor);
}

TEST(Requests, CursorsComeAsAnObject) {
  const auto parsed = Parse(R"({"topics":["a","b"],"resume_after":{"a":5,"c":7,"b":"9007199254740993"}})");
  ASSERT_TRUE(parsed.ok()) << parsed.error;
  EXPECT_EQ(parsed.value.topics[0].cursor->watermark, 5u);
  EXPECT_EQ(parsed.value.topics[1].cursor->watermark, 9007199254740993u);
}

TEST(Requests, CursorsComeAsAList) {
  const auto parsed =
      Parse(R"({"topics":["a","b"],"resume_after":[{"topic":"a","watermark":5,"epoch":2},{"topic":"b","watermark":0}],
               "replay_batch_size":10,"request_id":"r"})");
  ASSERT_TRUE(parsed.ok()) << parsed.error;
  EXPECT_EQ(parsed.value.topics[0].cursor->epoch, 2u);
  EXPECT_EQ(parsed.value.topics[1].cursor->watermark, 0u);
  EXPECT_EQ(parsed.value.topics[1].cursor->epoch, 0u);
  EXPECT_EQ(parsed.value.replay_batch_size, 10u);
  EXPECT_EQ(parsed.value.request_id, "r");
}

TEST(Requests, MalformedOnesAreRefused) {
  for (const char* bad : {
           "[]",
           "null",
           "{}",
           R"({"topics":[]})",
           R"({"topics":"a"})",
           R"({"topics":[1]})",
           R"({"topics":[" "]})",
           R"({"topics":["a b"]})",
           R"({"topics":["a"],"resume_after":5})",
           R"({"topics":["a"],"resume_after":{"a":-1}})",
           R"({"topics":["a"],"resume_after":{"a":1.5}})",
           R"({"topics":["a"],"resume_after":{"a":"x"}})",
           R"({"topics":["a"],"resume_after":{"a":""}})",
           R"({"topics":["a"],"resume_after":{"a":"-1"}})",
           R"({"topics":["a"],"resume_after":{"a":18446744073709551616}})",
           R"({"topics":["a"],"resume_after":{"a":"9223372036854775808"}})",
           R"({"topics":["a"],"resume_after":[1]})",
           R"({"topics":["a"],"resume_after":[{"watermark":1}]})",
           R"({"topics":["a"],"resume_after":[{"topic":"a"}]})",
           R"({"topics":["a"],"resume_after":[{"topic":"a","watermark":1,"epoch":-2}]})",
           R"({"topics":["a"],"replay_batch_size":0})",
           R"({"topics":["a"],"replay_batch_size":"1"})",
           R"({"topics":["a"],"request_id":5})",
       }) {
    EXPECT_FALSE(Parse(bad).ok()) << bad;
  }
}

TEST(Requests, TopicNames) {
  EXPECT_TRUE(IsValidTopic("runtime.run_summaries"));
  EXPECT_TRUE(IsValidTopic("run:42:events/x-Y_z"));
  EXPECT_TRUE(IsValidTopic(std::string(160, 'a')));
  EXPECT_FALSE(IsValidTopic(""));
  EXPECT_FALSE(IsValidTopic(std::string(161, 'a')));
  EXPECT_FALSE(IsValidTopic("a*"));
  EXPECT_FALSE(IsValidTopic("\xC3\xA4"));
  EXPECT_FALSE(IsValidTopic(std::string_view("a\0b", 3)));
}

TEST(Requests, JoinsMayComeWithoutTopics) {
  for (const char* text : {"{}", R"({"topics":[]})", R"({"topics":null,"client":"x"})"}) {
    const auto parsed = ParseJoin(Json::parse(text));
    EXPECT_TRUE(parsed.ok()) << parsed.error;
    EXPECT_TRUE(parsed.value.subscribe.topics.empty());
  }
  EXPECT_EQ(ParseJoin({{"encoding", "proto"}}).value.encoding, Encoding::kProto);
  EXPECT_FALSE(ParseJoin({{"encoding", "xml"}}).ok());
  EXPECT_FALSE(ParseJoin({{"topics", "x"}}).ok());
  EXPECT_FALSE(ParseJoin(Json::array()).ok());
}

}  // namespace
}  // namespace oasync
