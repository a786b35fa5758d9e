// The Phoenix V2 serializer, against well-meant and hostile frames.
#include "wire/phoenix.h"

#include <gtest/gtest.h>

#include <random>

namespace oasync {
namespace {

TEST(PhoenixText, ReadsAMessage) {
  const auto message = ParsePhoenixText(R"(["1","7","sync:v1","sync:subscribe",{"topics":["t"]}])");
  ASSERT_TRUE(message);
  EXPECT_EQ(message->join_ref, "1");
  EXPECT_EQ(message->ref, "7");
  EXPECT_EQ(message->topic, "sync:v1");
  EXPECT_EQ(message->event, "sync:subscribe");
  EXPECT_EQ(message->payload["topics"][0], "t");
}

TEST(PhoenixText, NullReferencesAreNone) {
  const auto message = ParsePhoenixText(R"([null,null,"phoenix","heartbeat",{}])");
  ASSERT_TRUE(message);
  EXPECT_FALSE(message->join_ref);
  EXPECT_FALSE(message->ref);
}

TEST(PhoenixText, RefusesEverythingElse) {
  const std::string long_string(256, 'x');
  for (const std::string& bad : {
           std::string(""),
           std::string("null"),
           std::string("{}"),
           std::string("[]"),
           std::string("[1,2,3,4,5]"),
           std::string(R"(["1","2","t","e"])"),
           std::string(R"(["1","2","t","e",{},0])"),
           std::string(R"([1,"2","t","e",{}])"),
           std::string(R"(["1",2,"t","e",{}])"),
           std::string(R"(["1","2",null,"e",{}])"),
           std::string(R"(["1","2","t",{},{}])"),
           std::string(R"(["1","2","t","e",{}] trailing)"),
           std::string(R"(["1","2","t","e",{})"),
           std::string(R"(["1","2","t","e",nan])"),
           std::string(R"([")") + long_string + R"(","2","t","e",{}])",
           std::string(R"(["1","2",")") + long_string + R"(","e",{}])",
           std::string(60000, '['),
           std::string("\xEF\xBB\xBF[[[[["),
       }) {
    EXPECT_FALSE(ParsePhoenixText(bad)) << bad.substr(0, 60);
  }
}

TEST(PhoenixText, DeepPayloadsDoNotExhaustTheStack) {
  const std::string deep = std::string(32000, '[') + std::string(32000, ']');
  EXPECT_TRUE(ParsePhoenixText(R"(["1","2","t","e",)" + deep + "]"));
}

std::string Push(std::string_view join_ref, std::string_view ref, std::string_view topic, std::string_view event,
                 std::string_view payload) {
  std::string out;
  out.push_back(0);
  for (const auto part : {join_ref, ref, topic, event}) out.push_back(static_cast<char>(part.size()));
  for (const auto part : {join_ref, ref, topic, event, payload}) out.append(part);
  return out;
}

TEST(PhoenixBinary, ReadsAPush) {
  const auto message = ParsePhoenixBinary(Push("1", "2", "sync:v1", "event", std::string("\x00\xFF", 2)));
  ASSERT_TRUE(message);
  EXPECT_EQ(message->join_ref, "1");
  EXPECT_EQ(message->ref, "2");
  EXPECT_EQ(message->topic, "sync:v1");
  EXPECT_EQ(message->event, "event");
  EXPECT_EQ(message->bytes, std::string("\x00\xFF", 2));
}

TEST(PhoenixBinary, EveryCutOfAHeaderIsRefused) {
  const std::string whole = Push("1", "2", "sync:v1", "event", "");
  for (size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(ParsePhoenixBinary(whole.substr(0, size))) << size;
  EXPECT_TRUE(ParsePhoenixBinary(whole));
}

TEST(PhoenixBinary, RefusesOtherKindsAndBadStrings) {
  std::string reply = Push("1", "2", "t", "e", "");
  reply[0] = 1;
  EXPECT_FALSE(ParsePhoenixBinary(reply));
  reply[0] = 2;
  EXPECT_FALSE(ParsePhoenixBinary(reply));
  EXPECT_FALSE(ParsePhoenixBinary(Push("1", "2", "t\xFF", "e", "")));
}

TEST(Phoenix, SurvivesNoise) {
  std::mt19937 random(7);
  for (int i = 0; i < 20000; ++i) {
    std::string noise(random() % 64, '\0');
    for (char& c : noise) c = static_cast<char>(random() % (i % 2 == 0 ? 256 : 4));
    (void)ParsePhoenixBinary(noise);
    (void)ParsePhoenixText(noise);
  }
}

TEST(PhoenixText, WritesReplies) {
  EXPECT_EQ(EncodePhoenixReply("1", "7", "sync:v1", true, {{"a", 1}})->view(),
            R"(["1","7","sync:v1","phx_reply",{"status":"ok","response":{"a":1}}])");
  EXPECT_EQ(EncodePhoenixReply(std::nullopt, "7", "x\"y", false, Json::object())->view(),
            R"([null,"7","x\"y","phx_reply",{"status":"error","response":{}}])");
}

TEST(PhoenixText, WritesBroadcasts) {
  const FrameRef frame = EncodePhoenixMessage(std::nullopt, std::nullopt, "sync:v1", "sync:error", {{"code", "x"}});
  EXPECT_EQ(frame->view(), R"([null,null,"sync:v1","sync:error",{"code":"x"}])");
  EXPECT_FALSE(frame->binary());
}

TEST(PhoenixBinary, WritesBroadcastHeads) {
  std::string out;
  AppendBroadcastBinaryHead(&out, "sync:v1", "ev");
  EXPECT_EQ(out, std::string("\x02\x07\x02sync:v1ev"));
}

TEST(Phoenix, NothingIsHiddenBehindAZeroByte) {
  const std::string message = R"([null,"1","phoenix","heartbeat",{}])";
  EXPECT_TRUE(ParsePhoenixText(message));
  EXPECT_FALSE(ParsePhoenixText(message + std::string(1, '\0')));
  EXPECT_FALSE(ParsePhoenixText(message + std::string(1, '\0') + "anything"));
}

}  // namespace
}  // namespace oasync
