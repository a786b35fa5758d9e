#include "pg/update_codec.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "openagents/sync/v1/sync.pb.h"
#include "wire/update_json.h"

namespace oasync::pg {
namespace {

using openagents::sync::v1::SyncOp;
using openagents::sync::v1::Update;

Update Sample() {
  Update update;
  update.set_topic("run:42:events");
  update.set_doc_key("runtime/run \"42\"");
  update.set_doc_version(7);
  update.set_payload(R"({"a":1,"b":"é"})");
  update.set_watermark(12);
  update.set_payload_hash(std::string(32, '\1'));
  update.set_op(SyncOp::SYNC_OP_UPSERT);
  update.set_epoch(3);
  update.set_inserted_at_us(1'795'378'501'000'042);
  update.set_commit_time_us(1'795'378'501'000'999);
  return update;
}

EventRef Decode(const Update& update, std::string* error) { return DecodeUpdate(update.SerializeAsString(), error); }

TEST(UpdateCodecTest, Upsert) {
  std::string error;
  const Update update = Sample();
  const EventRef event = Decode(update, &error);
  ASSERT_NE(event, nullptr) << error;
  EXPECT_EQ(event->topic, "run:42:events");
  EXPECT_EQ(event->watermark, 12u);
  EXPECT_EQ(event->epoch, 3u);
  EXPECT_EQ(event->op, Op::kUpsert);
  EXPECT_EQ(event->inserted_at_us, 1'795'378'501'000'042);
  EXPECT_EQ(event->commit_time_us, 1'795'378'501'000'999);
  EXPECT_EQ(event->proto, update.SerializeAsString());
  EXPECT_EQ(event->json,
            R"({"topic":"run:42:events","doc_key":"runtime/run \"42\"","doc_version":7,"op":"upsert",)"
            R"("payload":{"a":1,"b":"é"},"payload_hash":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",)"
            R"("watermark":12,"epoch":3,"hydration_required":false,"inserted_at":"2026-11-22T20:15:01.000042Z"})");
}

TEST(UpdateCodecTest, ATraceIsThereOnlyWhereThereIsOne) {
  std::string error;
  Update update = Sample();
  EXPECT_EQ(Decode(update, &error)->json.find("traceparent"), std::string::npos);
  update.set_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  const EventRef event = Decode(update, &error);
  ASSERT_NE(event, nullptr) << error;
  EXPECT_EQ(event->proto, update.SerializeAsString());
  EXPECT_NE(event->json.find(R"(000042Z","traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"})"),
            std::string::npos)
      << event->json;
  // What is no traceparent is escaped all the same, and what is no text is refused.
  update.set_traceparent("a\"b");
  EXPECT_NE(Decode(update, &error)->json.find(R"("traceparent":"a\"b"})"), std::string::npos);
  update.set_traceparent("\xff");
  EXPECT_EQ(Decode(update, &error), nullptr);
}

TEST(UpdateCodecTest, TombstonesHaveNullPayload) {
  for (const auto& [op, name] : {std::pair{SyncOp::SYNC_OP_DELETE, "delete"}, {SyncOp::SYNC_OP_TRUNCATE, "truncate"}}) {
    Update update = Sample();
    update.set_op(op);
    update.clear_payload();
    std::string error;
    const EventRef event = Decode(update, &error);
    ASSERT_NE(event, nullptr) << error;
    EXPECT_NE(event->json.find(std::string("\"op\":\"") + name + "\",\"payload\":null,"), std::string::npos);
  }
}

TEST(UpdateCodecTest, HydrationRequired) {
  Update update = Sample();
  update.clear_payload();
  update.set_hydration_required(true);
  std::string error;
  const EventRef event = Decode(update, &error);
  ASSERT_NE(event, nullptr) << error;
  EXPECT_NE(event->json.find("\"payload\":null,"), std::string::npos);
  EXPECT_NE(event->json.find("\"hydration_required\":true,"), std::string::npos);
}

TEST(UpdateCodecTest, BigNumbersAreStrings) {
  Update update = Sample();
  update.set_watermark((uint64_t{1} << 53) + 1);
  update.set_doc_version(UINT64_MAX);
  std::string error;
  const EventRef event = Decode(update, &error);
  ASSERT_NE(event, nullptr) << error;
  EXPECT_NE(event->json.find("\"watermark\":\"9007199254740993\""), std::string::npos);
  EXPECT_NE(event->json.find("\"doc_version\":\"18446744073709551615\""), std::string::npos);
}

TEST(UpdateCodecTest, VoidHasNoBytes) {
  Update update;
  update.set_topic("t");
  update.set_watermark(4);
  update.set_epoch(1);
  update.set_op(SyncOp::SYNC_OP_VOID);
  std::string error;
  const EventRef event = Decode(update, &error);
  ASSERT_NE(event, nullptr) << error;
  EXPECT_EQ(event->op, Op::kVoid);
  EXPECT_TRUE(event->proto.empty());
  EXPECT_TRUE(event->json.empty());
}

TEST(UpdateCodecTest, RefusesWhatIsNotAnEvent) {
  const auto refused = [](auto change) {
    Update update = Sample();
    change(update);
    std::string error;
    const EventRef event = Decode(update, &error);
    return event == nullptr && !error.empty();
  };
  EXPECT_TRUE(refused([](Update& u) { u.clear_topic(); }));
  EXPECT_TRUE(refused([](Update& u) { u.clear_watermark(); }));
  EXPECT_TRUE(refused([](Update& u) { u.clear_op(); }));
  EXPECT_TRUE(refused([](Update& u) { u.set_op(static_cast<SyncOp>(99)); }));
  EXPECT_TRUE(refused([](Update& u) { u.set_payload_hash("short"); }));
  EXPECT_TRUE(refused([](Update& u) { u.set_payload("\"\xff\""); }));
  EXPECT_TRUE(refused([](Update& u) { u.set_op(SyncOp::SYNC_OP_DELETE); }));
}

TEST(UpdateCodecTest, PeekFindsTopicAndWatermark) {
  const std::string bytes = Sample().SerializeAsString();
  const auto peek = PeekUpdate(bytes);
  ASSERT_TRUE(peek);
  EXPECT_EQ(peek->topic, "run:42:events");
  EXPECT_EQ(peek->watermark, 12u);
}

// What the bytes say to libprotobuf, if they say anything, is what the event says.
void ExpectAsProtobuf(const std::string& bytes, const EventRef& event) {
  // It would say on stderr what it does not like.
  [[maybe_unused]] static auto* const default_handler = google::protobuf::SetLogHandler(nullptr);
  Update update;
  const bool is_update = update.ParseFromString(bytes);
  if (event == nullptr) return;
  ASSERT_TRUE(is_update);
  EXPECT_EQ(event->topic, update.topic());
  EXPECT_EQ(event->watermark, update.watermark());
  EXPECT_EQ(event->epoch, update.epoch());
  EXPECT_EQ(static_cast<int>(event->op), update.op());
  EXPECT_EQ(event->inserted_at_us, update.inserted_at_us());
  EXPECT_EQ(event->commit_time_us, update.commit_time_us());
  EXPECT_EQ(event->json, UpdateToJson(ViewOf(update)));
}

// Repeated fields, fields of later versions, known numbers in another form, and negative or cut numbers.
TEST(UpdateCodecTest, ReadsAsLibprotobufDoes) {
  const std::string sample = Sample().SerializeAsString();
  Update negative = Sample();
  negative.set_inserted_at_us(-1);
  negative.set_epoch(UINT64_MAX);
  Update last;
  last.set_topic("of the last one");
  last.set_watermark(99);
  const auto text = [](const char* bytes, size_t size) { return std::string(bytes, size); };
  const std::vector<std::string> messages = {
      sample + last.SerializeAsString(),
      last.SerializeAsString() + sample,
      negative.SerializeAsString(),
      sample + std::string("\x28\x85\x80\x00", 4),                   // a watermark with needless bytes
      sample + text("\x38\x80\x80\x80\x80\x10", 6),                  // hydration_required: 2^32
      sample + text("\x40\x81\x80\x80\x80\x10", 6),                  // op: 2^32 + 1, cut to 32 bits
      sample + text("\xb0\x06\x05", 3) + text("\xba\x06\x02hi", 5),  // unknown fields
      sample +
          text("\xbd\x06"
               "1234",
               6) +
          text("\xb9\x06"
               "12345678",
               10),  // the same, of fixed size
      sample + text("\x2a\x01x", 3) + text("\x08\x07", 2) +
          text("\x15"
               "abcd",
               5),  // known, in another form
  };
  for (size_t i = 0; i < messages.size(); ++i) {
    SCOPED_TRACE(i);
    std::string error;
    const EventRef event = DecodeUpdate(messages[i], &error);
    ASSERT_NE(event, nullptr) << error;
    ExpectAsProtobuf(messages[i], event);
  }
  std::string error;
  for (const std::string& bad : {std::string("\x0a\x01\xff"), std::string("\x12\x01\xff"), std::string("\x0b\x0c"),
                                 std::string("\x00\x00", 2), std::string("\x2a\x82\x80\x80\x80\x80\x00hi", 9)}) {
    EXPECT_EQ(DecodeUpdate(sample + bad, &error), nullptr);
  }
}

// Every prefix and every single-bit change is an error or an event, never a crash (ASan watches the reads).
TEST(UpdateCodecTest, HostileBytes) {
  const std::string bytes = Sample().SerializeAsString();
  std::string error;
  for (size_t size = 0; size < bytes.size(); ++size) {
    const std::string cut(bytes, 0, size);
    PeekUpdate(cut);
    ExpectAsProtobuf(cut, DecodeUpdate(cut, &error));
  }
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    PeekUpdate(flipped);
    ExpectAsProtobuf(flipped, DecodeUpdate(flipped, &error));
  }
  std::mt19937 random(7);
  for (int i = 0; i < 20'000; ++i) {
    std::string noise(random() % 64, '\0');
    for (char& c : noise) c = static_cast<char>(random());
    const auto peek = PeekUpdate(noise);
    EXPECT_LE(peek ? peek->topic.size() : 0, noise.size());
    ExpectAsProtobuf(noise, DecodeUpdate(noise, &error));
  }
  EXPECT_EQ(DecodeUpdate("", &error), nullptr);
  EXPECT_FALSE(PeekUpdate(""));
}

}  // namespace
}  // namespace oasync::pg
