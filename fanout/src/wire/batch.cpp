#include "wire/batch.h"

#include <google/protobuf/io/coded_stream.h>

#include "base/json_text.h"
#include "openagents/sync/v1/sync.pb.h"
#include "wire/phoenix.h"
#include "wire/update_json.h"

namespace oasync {

namespace v1 = openagents::sync::v1;

namespace {

constexpr char kUpdateBatch[] = "sync:update_batch";

// The event without its payload: `json` or `proto` as the encoding asks.
std::string EncodeWithoutPayload(Encoding encoding, const Event& event) {
  v1::Update update;
  update.ParseFromString(event.proto);
  // A delete has no payload to fetch; only its key can have made it large, and keys are bounded by the database.
  if (update.op() == v1::SYNC_OP_UPSERT) {
    update.clear_payload();
    update.set_hydration_required(true);
  }
  return encoding == Encoding::kJson ? UpdateToJson(ViewOf(update)) : update.SerializeAsString();
}

void AppendVarint(std::string* out, uint64_t value) {
  uint8_t bytes[10];
  const uint8_t* end = google::protobuf::io::CodedOutputStream::WriteVarint64ToArray(value, bytes);
  out->append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(end - bytes));
}

}  // namespace

BatchBuilder::BatchBuilder(Encoding encoding, const BatchLimits& limits, const std::string& topic)
    : encoding_(encoding),
      limits_(limits),
      topic_(topic),
      tail_bytes_(256 + topic.size()),
      frame_(std::make_shared<Frame>(encoding == Encoding::kProto, 1024)) {
  if (encoding_ == Encoding::kJson) {
    AppendBroadcastTextHead(frame_->body(), kChannel, kUpdateBatch);
    frame_->body()->append(R"({"updates":[)");
  } else {
    AppendBroadcastBinaryHead(frame_->body(), kChannel, kUpdateBatch);
  }
}

bool BatchBuilder::Add(const Event& event) {
  if (event.op == Op::kVoid) {
    through_ = event.watermark;
    return true;
  }
  if (frame_->updates >= limits_.max_events) return false;
  const std::string* bytes = encoding_ == Encoding::kJson ? &event.json : &event.proto;
  std::string reduced;
  if (bytes->size() > limits_.max_update_bytes) {
    reduced = EncodeWithoutPayload(encoding_, event);
    bytes = &reduced;
  }
  constexpr size_t kSeparator = 11;  // a comma, or a tag and a length
  if (frame_->updates > 0 && frame_->size() + bytes->size() + kSeparator + tail_bytes_ > limits_.max_batch_bytes) {
    return false;
  }
  std::string* out = frame_->body();
  if (encoding_ == Encoding::kJson) {
    if (frame_->updates > 0) out->push_back(',');
  } else {
    // Field 1, length-delimited: the update's own bytes follow, so a batch costs no second serialization.
    out->push_back(static_cast<char>(v1::UpdateBatch::kUpdatesFieldNumber << 3 | 2));
    AppendVarint(out, bytes->size());
  }
  out->append(*bytes);
  ++frame_->updates;
  through_ = event.watermark;
  if (event.commit_time_us != 0 && (frame_->oldest_commit_us == 0 || event.commit_time_us < frame_->oldest_commit_us)) {
    frame_->oldest_commit_us = event.commit_time_us;
  }
  return true;
}

FrameRef BatchBuilder::Finish(uint64_t after, bool replay_complete, uint64_t head, uint64_t epoch) {
  if (encoding_ == Encoding::kJson) {
    FinishJson(after, replay_complete, head);
  } else {
    FinishProto(after, replay_complete, head, epoch);
  }
  frame_->through_watermark = through_;
  frame_->Seal();
  return std::move(frame_);
}

void BatchBuilder::FinishJson(uint64_t after, bool replay_complete, uint64_t head) {
  std::string* out = frame_->body();
  out->append(R"(],"replay_complete":)");
  out->append(replay_complete ? "true" : "false");
  out->append(R"(,"head_watermarks":[{"topic":)");
  AppendJsonString(out, topic_);
  out->append(R"(,"watermark":)");
  AppendWatermark(out, head);
  out->append(R"(}],"after_watermark":)");
  AppendWatermark(out, after);
  out->append(R"(,"through_watermark":)");
  AppendWatermark(out, through_);
  out->append("}]");
}

void BatchBuilder::FinishProto(uint64_t after, bool replay_complete, uint64_t head, uint64_t epoch) {
  // The remaining fields of the same message: protobuf lets messages be concatenated.
  v1::UpdateBatch rest;
  rest.set_replay_complete(replay_complete);
  v1::TopicCursor* cursor = rest.add_head_watermarks();
  cursor->set_topic(topic_);
  cursor->set_watermark(head);
  cursor->set_epoch(epoch);
  rest.set_after_watermark(after);
  rest.set_through_watermark(through_);
  rest.AppendToString(frame_->body());
}

}  // namespace oasync
