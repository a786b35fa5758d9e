#include "pg/update_codec.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "openagents/sync/v1/sync.pb.h"

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

// Every prefix and every single-bit change is an error or an event, never a crash (ASan watches the reads).
TEST(UpdateCodecTest, HostileBytes) {
  const std::string bytes = Sample().SerializeAsString();
  std::string error;
  for (size_t size = 0; size < bytes.size(); ++size) {
    const std::string cut(bytes, 0, size);
    PeekUpdate(cut);
    DecodeUpdate(cut, &error);
  }
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    PeekUpdate(flipped);
    DecodeUpdate(flipped, &error);
  }
  std::mt19937 random(7);
  for (int i = 0; i < 20'000; ++i) {
    std::string noise(random() % 64, '\0');
    for (char& c : noise) c = static_cast<char>(random());
    const auto peek = PeekUpdate(noise);
    EXPECT_LE(peek ? peek->topic.size() : 0, noise.size());
    DecodeUpdate(noise, &error);
  }
  EXPECT_EQ(DecodeUpdate("", &error), nullptr);
  EXPECT_FALSE(PeekUpdate(""));
}

}  // namespace
}  // namespace oasync::pg
