#include "phoenix_channel.h"

#include <gtest/gtest.h>
#include <openssl/sha.h>

#include "wire/batch.h"
#include "wire/phoenix.h"

namespace oasync::terminal {
namespace {

using openagents::sync::v1::SYNC_OP_DELETE;
using openagents::sync::v1::SYNC_OP_UPSERT;
using openagents::sync::v1::SYNC_OP_VOID;

std::string Sha256(const std::string& text) {
  std::string hash(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(),
         reinterpret_cast<unsigned char*>(hash.data()));
  return hash;
}

UpdateBatch GoodBatch() {
  UpdateBatch batch;
  batch.set_after_watermark(1);
  batch.set_through_watermark(4);
  for (const uint64_t watermark : {2, 4}) {
    auto* update = batch.add_updates();
    update->set_topic("t");
    update->set_watermark(watermark);
    update->set_op(SYNC_OP_UPSERT);
    update->set_payload(R"({"a":1})");
    update->set_payload_hash(Sha256(R"({"a":1})"));
  }
  return batch;
}

std::string Frame(const UpdateBatch& batch) {
  std::string frame;
  AppendBroadcastBinaryHead(&frame, kChannel, "sync:update_batch");
  return frame + batch.SerializeAsString();
}

bool IsRefused(const std::string& bytes, bool is_binary) {
  std::string error;
  return !ParseServerFrame(bytes, is_binary, &error) && !error.empty();
}

bool IsRefused(const UpdateBatch& batch) { return IsRefused(Frame(batch), true); }

TEST(PhoenixChannel, WritesRequests) {
  EXPECT_EQ(EncodeRequest(7, "sync:heartbeat", Json::object()), R"(["1","7","sync:v1","sync:heartbeat",{}])");
  EXPECT_EQ(EncodeHeartbeat(8), R"([null,"8","phoenix","heartbeat",{}])");
}

TEST(PhoenixChannel, ReadsReplies) {
  std::string error;
  const auto frame =
      ParseServerFrame(R"(["1","2","sync:v1","phx_reply",{"status":"ok","response":{"a":1}}])", false, &error);
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->kind, ServerFrame::Kind::kReply);
  EXPECT_EQ(frame->ref, "2");
  EXPECT_TRUE(frame->ok);
  EXPECT_EQ(frame->payload, Json({{"a", 1}}));
}

TEST(PhoenixChannel, ReadsPushes) {
  std::string error;
  const auto frame = ParseServerFrame(R"([null,null,"sync:v1","sync:error",{"code":"x"}])", false, &error);
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->kind, ServerFrame::Kind::kEvent);
  EXPECT_EQ(frame->event, "sync:error");
}

TEST(PhoenixChannel, ReadsBatches) {
  std::string error;
  const auto frame = ParseServerFrame(Frame(GoodBatch()), true, &error);
  ASSERT_TRUE(frame) << error;
  EXPECT_EQ(frame->kind, ServerFrame::Kind::kBatch);
  EXPECT_EQ(frame->batch.updates_size(), 2);
}

TEST(PhoenixChannel, RefusesTextThatIsNoMessage) {
  for (const char* text : {"", "{", "null", "[]", "[1,2,3,4]", "[null,null,1,\"e\",{}]", "[null,null,\"t\",\"e\",[]]",
                           "[\"1\",null,\"t\",\"phx_reply\",{}]", "[null,null,\"t\",\"e\",{\"a\":1,\"a\":2}]",
                           "[null,null,\"t\",\"e\",{}] x"}) {
    EXPECT_TRUE(IsRefused(text, false)) << text;
  }
  EXPECT_TRUE(IsRefused("[null,null,\"t\",\"\xff\",{}]", false));
  EXPECT_TRUE(IsRefused(std::string(100000, '['), false)) << "deep nesting";
}

TEST(PhoenixChannel, RefusesBinaryThatIsNoBatch) {
  const std::string good = Frame(GoodBatch());
  for (size_t size = 0; size < 3 + 7 + 17; ++size) EXPECT_TRUE(IsRefused(good.substr(0, size), true)) << size;
  EXPECT_TRUE(IsRefused(good.substr(0, good.size() - 1), true)) << "cut";
  std::string other = good;
  other[0] = 0;
  EXPECT_TRUE(IsRefused(other, true)) << "a push";
  EXPECT_TRUE(IsRefused(std::string("\x02\xff\xff", 3), true)) << "lengths that lead behind the end";
}

TEST(PhoenixChannel, RefusesBatchesThatBreakTheRules) {
  EXPECT_TRUE(IsRefused(UpdateBatch())) << "empty";
  UpdateBatch batch = GoodBatch();
  batch.mutable_updates(1)->set_topic("other");
  EXPECT_TRUE(IsRefused(batch)) << "two topics";
  batch = GoodBatch();
  batch.mutable_updates(1)->set_watermark(2);
  EXPECT_TRUE(IsRefused(batch)) << "not rising";
  batch = GoodBatch();
  batch.set_after_watermark(2);
  EXPECT_TRUE(IsRefused(batch)) << "before the interval";
  batch = GoodBatch();
  batch.set_through_watermark(3);
  EXPECT_TRUE(IsRefused(batch)) << "behind the interval";
  batch = GoodBatch();
  batch.mutable_updates(0)->set_op(SYNC_OP_VOID);
  EXPECT_TRUE(IsRefused(batch)) << "a void event";
}

TEST(PhoenixChannel, RefusesPayloadsThatAreNotWhatTheirHashSays) {
  UpdateBatch batch = GoodBatch();
  batch.mutable_updates(0)->set_payload(R"({"a":2})");
  EXPECT_TRUE(IsRefused(batch));
  for (const char* payload : {"{", "\"\xff\"", "{\n}"}) {
    batch.mutable_updates(0)->set_payload(payload);
    batch.mutable_updates(0)->set_payload_hash(Sha256(payload));
    EXPECT_TRUE(IsRefused(batch)) << payload;
  }
  batch.mutable_updates(0)->set_payload("");
  batch.mutable_updates(0)->set_op(SYNC_OP_DELETE);
  EXPECT_FALSE(IsRefused(batch)) << "a delete has none";
}

TEST(PhoenixChannel, IntegersAreNumbersOrDigits) {
  EXPECT_EQ(ReadInteger(Json(5)), 5u);
  EXPECT_EQ(ReadInteger(Json("18446744073709551615")), UINT64_MAX);
  for (const Json& bad :
       {Json(), Json(-1), Json(1.5), Json(""), Json("-1"), Json("1x"), Json("18446744073709551616")}) {
    EXPECT_FALSE(ReadInteger(bad)) << bad;
  }
}

}  // namespace
}  // namespace oasync::terminal
