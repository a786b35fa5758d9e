#include "update_wire.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "openagents/sync/v1/sync.pb.h"

namespace oasync {
namespace {

namespace pb = openagents::sync::v1;

std::string Serialize(const UpdateFields& fields) {
  Bytes out;
  AppendUpdate(out, fields);
  std::string bytes(out.view());
  out.Free();
  return bytes;
}

UpdateFields Example() {
  static const std::string hash(32, '\x9c');
  return {.topic = "run:42:events",
          .doc_key = "event:42:7",
          .doc_version = 7,
          .payload = R"({"a":"ä"})",
          .watermark = 300,
          .payload_hash = hash,
          .op = Op::kUpsert,
          .epoch = 2,
          .inserted_at_us = 1764000000123456,
          .commit_time_us = 1764000000123999};
}

TEST(AppendUpdate, GeneratedCodeReadsIt) {
  const UpdateFields fields = Example();
  pb::Update update;
  ASSERT_TRUE(update.ParseFromString(Serialize(fields)));
  EXPECT_EQ(update.topic(), "run:42:events");
  EXPECT_EQ(update.doc_key(), "event:42:7");
  EXPECT_EQ(update.doc_version(), 7u);
  EXPECT_EQ(update.payload(), R"({"a":"ä"})");
  EXPECT_EQ(update.watermark(), 300u);
  EXPECT_EQ(update.payload_hash(), std::string(32, '\x9c'));
  EXPECT_FALSE(update.hydration_required());
  EXPECT_EQ(update.op(), pb::SYNC_OP_UPSERT);
  EXPECT_EQ(update.epoch(), 2u);
  EXPECT_EQ(update.inserted_at_us(), 1764000000123456);
  EXPECT_EQ(update.commit_time_us(), 1764000000123999);
  EXPECT_EQ(update.GetReflection()->GetUnknownFields(update).field_count(), 0);
}

TEST(AppendUpdate, PayloadLeftOut) {
  UpdateFields fields = Example();
  fields.payload = {};
  fields.hydration_required = true;
  const std::string bytes = Serialize(fields);
  pb::Update update;
  ASSERT_TRUE(update.ParseFromString(bytes));
  EXPECT_TRUE(update.hydration_required());
  EXPECT_EQ(update.payload(), "");
  EXPECT_EQ(update.payload_hash(), std::string(32, '\x9c'));
  EXPECT_EQ(update.SerializeAsString(), bytes);
}

TEST(AppendUpdate, BytesAreThoseOfGeneratedCode) {
  const std::string bytes = Serialize(Example());
  pb::Update update;
  ASSERT_TRUE(update.ParseFromString(bytes));
  EXPECT_EQ(update.SerializeAsString(), bytes);
}

TEST(AppendUpdate, EveryOpHasTheNumberOfTheProto) {
  EXPECT_EQ(static_cast<int>(Op::kUpsert), pb::SYNC_OP_UPSERT);
  EXPECT_EQ(static_cast<int>(Op::kDelete), pb::SYNC_OP_DELETE);
  EXPECT_EQ(static_cast<int>(Op::kTruncate), pb::SYNC_OP_TRUNCATE);
  EXPECT_EQ(static_cast<int>(Op::kVoid), pb::SYNC_OP_VOID);
  for (const Op op : {Op::kUpsert, Op::kDelete, Op::kTruncate, Op::kVoid}) {
    UpdateFields fields = Example();
    fields.op = op;
    pb::Update update;
    ASSERT_TRUE(update.ParseFromString(Serialize(fields)));
    EXPECT_EQ(static_cast<int>(update.op()), static_cast<int>(op));
  }
}

TEST(AppendUpdate, CommitTimeOnlyAddsToTheEnd) {
  UpdateFields fields = Example();
  const std::string live = Serialize(fields);
  fields.commit_time_us = 0;
  const std::string replayed = Serialize(fields);
  EXPECT_LT(replayed.size(), live.size());
  EXPECT_EQ(live.substr(0, replayed.size()), replayed);
  EXPECT_EQ(live[replayed.size()], 11 << 3);
}

TEST(AppendUpdate, TheTraceComesLast) {
  UpdateFields fields = Example();
  const std::string without = Serialize(fields);
  fields.traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const std::string bytes = Serialize(fields);
  EXPECT_EQ(bytes.substr(0, without.size()), without);
  pb::Update update;
  ASSERT_TRUE(update.ParseFromString(bytes));
  EXPECT_EQ(update.traceparent(), fields.traceparent);
  EXPECT_EQ(update.GetReflection()->GetUnknownFields(update).field_count(), 0);
  EXPECT_EQ(update.SerializeAsString(), bytes);
}

TEST(AppendUpdate, EmptyFieldsAreLeftOut) {
  UpdateFields fields = {};
  fields.op = static_cast<Op>(0);
  EXPECT_EQ(Serialize(fields), "");
  fields.op = Op::kVoid;
  EXPECT_EQ(Serialize(fields), std::string("\x40\x04", 2));
}

TEST(AppendUpdate, LargestNumbersAndTextsSurvive) {
  UpdateFields fields = Example();
  const std::string payload = "\"" + std::string(3 << 20, 'x') + "\"";
  fields.payload = payload;
  fields.doc_version = std::numeric_limits<uint64_t>::max();
  fields.watermark = std::numeric_limits<uint64_t>::max();
  fields.epoch = std::numeric_limits<uint64_t>::max();
  fields.inserted_at_us = std::numeric_limits<int64_t>::min();
  fields.commit_time_us = -1;
  pb::Update update;
  ASSERT_TRUE(update.ParseFromString(Serialize(fields)));
  EXPECT_EQ(update.payload(), payload);
  EXPECT_EQ(update.doc_version(), std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(update.watermark(), std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(update.epoch(), std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(update.inserted_at_us(), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(update.commit_time_us(), -1);
}

TEST(AppendUpdate, EveryVarintLengthSurvives) {
  for (int bits = 0; bits < 64; ++bits) {
    for (const uint64_t value : {uint64_t{1} << bits, (uint64_t{1} << bits) - 1}) {
      UpdateFields fields = Example();
      fields.watermark = value;
      pb::Update update;
      ASSERT_TRUE(update.ParseFromString(Serialize(fields)));
      EXPECT_EQ(update.watermark(), value);
      EXPECT_EQ(update.SerializeAsString(), Serialize(fields));
    }
  }
}

TEST(AppendUpdate, AppendsToWhatIsThere) {
  Bytes out;
  out.Append("head");
  AppendUpdate(out, Example());
  EXPECT_EQ(out.view().substr(0, 4), "head");
  EXPECT_EQ(out.view().substr(4), Serialize(Example()));
  out.Free();
}

TEST(OpName, AndParseOpAreInverse) {
  for (const Op op : {Op::kUpsert, Op::kDelete, Op::kTruncate, Op::kVoid}) {
    Op parsed = {};
    EXPECT_TRUE(ParseOp(OpName(op), parsed));
    EXPECT_EQ(parsed, op);
  }
  EXPECT_EQ(OpName(Op::kUpsert), "upsert");
  EXPECT_EQ(OpName(Op::kDelete), "delete");
  EXPECT_EQ(OpName(Op::kTruncate), "truncate");
  EXPECT_EQ(OpName(Op::kVoid), "void");
  Op parsed = Op::kVoid;
  for (const char* name : {"", "Upsert", "insert", "upsert "}) EXPECT_FALSE(ParseOp(name, parsed)) << name;
  EXPECT_EQ(parsed, Op::kVoid);
}

}  // namespace
}  // namespace oasync
