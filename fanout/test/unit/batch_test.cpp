// Batches: their bytes, their three limits, and the interval they cover.
#include "wire/batch.h"

#include <gtest/gtest.h>

#include "fakes.h"
#include "openagents/sync/v1/sync.pb.h"

namespace oasync {
namespace {

namespace v1 = openagents::sync::v1;
const std::string kTopic = "t";

Json Payload(const FrameRef& frame) {
  const Json message = Json::parse(frame->view());
  EXPECT_TRUE(message[0].is_null() && message[1].is_null());
  EXPECT_EQ(message[2], "sync:v1");
  EXPECT_EQ(message[3], "sync:update_batch");
  return message[4];
}

v1::UpdateBatch ProtoPayload(const FrameRef& frame) {
  const std::string head = std::string("\x02\x07\x11") + "sync:v1sync:update_batch";
  EXPECT_EQ(frame->view().substr(0, head.size()), head);
  v1::UpdateBatch batch;
  EXPECT_TRUE(batch.ParseFromString(std::string(frame->view().substr(head.size()))));
  return batch;
}

TEST(Batch, JsonHoldsUpdatesAndTheInterval) {
  BatchBuilder builder(Encoding::kJson, {}, kTopic);
  EXPECT_TRUE(builder.Add(*MakeEvent(kTopic, 11, R"({"b":[1,2]})")));
  EXPECT_TRUE(builder.Add(*MakeVoid(kTopic, 12)));
  EXPECT_TRUE(builder.Add(*MakeEvent(kTopic, 13, {}, Op::kDelete)));
  EXPECT_TRUE(builder.Add(*MakeVoid(kTopic, 14)));
  const Json batch = Payload(builder.Finish(10, true, 20, 1));
  ASSERT_EQ(batch["updates"].size(), 2u);
  EXPECT_EQ(batch["updates"][0]["payload"], Json::parse(R"({"b":[1,2]})"));
  EXPECT_EQ(batch["updates"][0]["watermark"], 11);
  EXPECT_EQ(batch["updates"][0]["op"], "upsert");
  EXPECT_EQ(batch["updates"][0]["hydration_required"], false);
  EXPECT_EQ(batch["updates"][0]["payload_hash"], "aGhoaGhoaGhoaGhoaGhoaGhoaGhoaGhoaGhoaGhoaGg=");
  EXPECT_EQ(batch["updates"][1]["op"], "delete");
  EXPECT_TRUE(batch["updates"][1]["payload"].is_null());
  EXPECT_EQ(batch["after_watermark"], 10);
  EXPECT_EQ(batch["through_watermark"], 14);
  EXPECT_EQ(batch["replay_complete"], true);
  EXPECT_EQ(batch["head_watermarks"], Json::parse(R"([{"topic":"t","watermark":20}])"));
}

TEST(Batch, ProtoHoldsTheStoredBytesAsTheyAre) {
  // Bytes that a serializer would not write like that: fields in another order, and one that nobody knows yet. Only
  // bytes that are spliced, not written again, keep both.
  const EventRef event = MakeEvent(kTopic, 11, R"({"b":[1,2]})");
  v1::Update known;
  ASSERT_TRUE(known.ParseFromString(event->proto));
  Event stored = *event;
  stored.proto = std::string("\xfa\x3f\x03new") + event->proto;
  v1::Update topic_last;
  topic_last.set_topic(known.topic());
  stored.proto += topic_last.SerializeAsString();
  BatchBuilder builder(Encoding::kProto, {}, kTopic);
  EXPECT_TRUE(builder.Add(stored));
  const FrameRef frame = builder.Finish(10, true, 20, 3);
  EXPECT_NE(frame->view().find(stored.proto), std::string_view::npos);
  EXPECT_EQ(ProtoPayload(frame).updates(0).payload(), known.payload());
}

TEST(Batch, FramesAreReadyForTheWire) {
  for (const size_t bytes : {size_t{10}, size_t{125}, size_t{126}, size_t{65535}, size_t{65536}}) {
    Frame frame(/*binary=*/bytes % 2 == 1);
    frame.body()->append(bytes, 'x');
    frame.Seal();
    const std::string_view wire = frame.wire();
    const size_t header = bytes < 126 ? 2 : bytes < 65536 ? 4 : 10;
    ASSERT_EQ(wire.size(), header + bytes);
    EXPECT_EQ(static_cast<uint8_t>(wire[0]), frame.binary() ? 0x82 : 0x81);
    uint64_t length = static_cast<uint8_t>(wire[1]);
    EXPECT_EQ(length, bytes < 126 ? bytes : bytes < 65536 ? 126u : 127u);
    if (header > 2) length = 0;
    for (size_t i = 2; i < header; ++i) length = length << 8 | static_cast<uint8_t>(wire[i]);
    EXPECT_EQ(length, bytes);
    EXPECT_EQ(wire.substr(header), frame.view());
  }
}

TEST(Batch, ProtoSaysTheSame) {
  BatchBuilder builder(Encoding::kProto, {}, kTopic);
  EXPECT_TRUE(builder.Add(*MakeEvent(kTopic, 11, R"({"b":[1,2]})")));
  EXPECT_TRUE(builder.Add(*MakeEvent(kTopic, 12, {}, Op::kTruncate)));
  const FrameRef frame = builder.Finish(10, false, 20, 3);
  EXPECT_TRUE(frame->binary());
  const v1::UpdateBatch batch = ProtoPayload(frame);
  ASSERT_EQ(batch.updates_size(), 2);
  EXPECT_EQ(batch.updates(0).payload(), R"({"b":[1,2]})");
  EXPECT_EQ(batch.updates(1).op(), v1::SYNC_OP_TRUNCATE);
  EXPECT_EQ(batch.after_watermark(), 10u);
  EXPECT_EQ(batch.through_watermark(), 12u);
  EXPECT_FALSE(batch.replay_complete());
  ASSERT_EQ(batch.head_watermarks_size(), 1);
  EXPECT_EQ(batch.head_watermarks(0).watermark(), 20u);
  EXPECT_EQ(batch.head_watermarks(0).epoch(), 3u);
}

TEST(Batch, OnlyVoidsIsNoBatch) {
  BatchBuilder builder(Encoding::kJson, {}, kTopic);
  EXPECT_TRUE(builder.Add(*MakeVoid(kTopic, 1)));
  EXPECT_TRUE(builder.Add(*MakeVoid(kTopic, 2)));
  EXPECT_FALSE(builder.has_updates());
  EXPECT_EQ(builder.through(), 2u);
}

TEST(Batch, StopsAtTheNumberOfEvents) {
  BatchLimits limits;
  limits.max_events = 2;
  BatchBuilder builder(Encoding::kJson, limits, kTopic);
  EXPECT_TRUE(builder.Add(*MakeEvent(kTopic, 1)));
  EXPECT_TRUE(builder.Add(*MakeEvent(kTopic, 2)));
  EXPECT_TRUE(builder.Add(*MakeVoid(kTopic, 3)));  // costs nothing and belongs to the interval
  EXPECT_FALSE(builder.Add(*MakeEvent(kTopic, 4)));
  EXPECT_EQ(builder.through(), 3u);
}

class BatchBytes : public testing::TestWithParam<Encoding> {};

TEST_P(BatchBytes, TheWholeFrameStaysWithinTheLimit) {
  BatchLimits limits;
  limits.max_batch_bytes = 20000;
  limits.max_update_bytes = 8000;
  const std::string payload = "\"" + std::string(3000, 'x') + "\"";
  BatchBuilder builder(GetParam(), limits, kTopic);
  uint64_t watermark = 0;
  while (builder.Add(*MakeEvent(kTopic, watermark + 1, payload))) ++watermark;
  EXPECT_GE(watermark, 5u);
  EXPECT_LE(builder.Finish(0, true, UINT64_MAX, 1)->size(), limits.max_batch_bytes);
}

TEST_P(BatchBytes, ALargeUpdateLosesItsPayloadOnly) {
  BatchLimits limits;
  limits.max_update_bytes = 1024;
  BatchBuilder builder(GetParam(), limits, kTopic);
  EXPECT_TRUE(builder.Add(*MakeEvent(kTopic, 1, "\"" + std::string(2000, 'x') + "\"")));
  EXPECT_TRUE(builder.Add(*MakeEvent(kTopic, 2)));
  const FrameRef frame = builder.Finish(0, true, 2, 1);
  if (GetParam() == Encoding::kJson) {
    const Json updates = Payload(frame)["updates"];
    EXPECT_TRUE(updates[0]["payload"].is_null());
    EXPECT_EQ(updates[0]["hydration_required"], true);
    EXPECT_EQ(updates[0]["doc_key"], "doc/1");
    EXPECT_EQ(updates[0]["payload_hash"], updates[1]["payload_hash"]);
    EXPECT_EQ(updates[1]["hydration_required"], false);
  } else {
    const v1::UpdateBatch batch = ProtoPayload(frame);
    EXPECT_TRUE(batch.updates(0).payload().empty());
    EXPECT_TRUE(batch.updates(0).hydration_required());
    EXPECT_EQ(batch.updates(0).doc_key(), "doc/1");
    EXPECT_EQ(batch.updates(0).payload_hash().size(), 32u);
    EXPECT_FALSE(batch.updates(1).hydration_required());
  }
}

INSTANTIATE_TEST_SUITE_P(Encodings, BatchBytes, testing::Values(Encoding::kJson, Encoding::kProto));

TEST(Batch, RemembersTheOldestCommit) {
  auto late = std::make_shared<Event>(*MakeEvent(kTopic, 1));
  late->commit_time_us = 500;
  auto early = std::make_shared<Event>(*MakeEvent(kTopic, 2));
  early->commit_time_us = 400;
  BatchBuilder builder(Encoding::kJson, {}, kTopic);
  builder.Add(*late);
  builder.Add(*early);
  builder.Add(*MakeEvent(kTopic, 3));
  const FrameRef frame = builder.Finish(0, true, 3, 1);
  EXPECT_EQ(frame->oldest_commit_us, 400);
  EXPECT_EQ(frame->updates, 3u);
}

}  // namespace
}  // namespace oasync
