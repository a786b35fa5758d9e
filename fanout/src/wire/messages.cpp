#include "wire/messages.h"

#include "base/json_text.h"

namespace oasync {

const char* StaleReasonName(StaleReason reason) {
  switch (reason) {
    case StaleReason::kRetentionFloorBreach:
      return "retention_floor_breach";
    case StaleReason::kCursorAheadOfHead:
      return "cursor_ahead_of_head";
    case StaleReason::kEpochDiverged:
      return "epoch_diverged";
  }
  return "";
}

Json WatermarkJson(uint64_t watermark) {
  if (watermark > kMaxJsonInteger) return std::to_string(watermark);
  return watermark;
}

Json CursorsJson(const std::vector<TopicPosition>& positions) {
  Json list = Json::array();
  for (const auto& position : positions) {
    list.push_back({{"topic", position.topic},
                    {"watermark", WatermarkJson(position.watermark)},
                    {"epoch", WatermarkJson(position.epoch)}});
  }
  return list;
}

Json HeadsJson(const std::vector<TopicPosition>& positions) {
  Json list = Json::array();
  for (const auto& position : positions) {
    list.push_back({{"topic", position.topic}, {"watermark", WatermarkJson(position.head)}});
  }
  return list;
}

Json HeartbeatJson(const std::vector<TopicPosition>& positions) {
  Json list = Json::array();
  for (const auto& position : positions) {
    list.push_back({{"topic", position.topic},
                    {"watermark", WatermarkJson(position.watermark)},
                    {"epoch", WatermarkJson(position.epoch)},
                    {"head_watermark", WatermarkJson(position.head)}});
  }
  return list;
}

Json ErrorJson(std::string_view code, std::string_view message) { return {{"code", code}, {"message", message}}; }

Json StaleCursorJson(const std::vector<StaleTopic>& stale) {
  Json reasons = Json::array();
  Json topics = Json::array();
  Json plan = Json::array();
  for (const auto& topic : stale) {
    const char* reason = StaleReasonName(topic.reason);
    if (std::find(reasons.begin(), reasons.end(), reason) == reasons.end()) reasons.push_back(reason);
    const uint64_t lag = topic.head > topic.resume_after ? topic.head - topic.resume_after : 0;
    topics.push_back({{"topic", topic.topic},
                      {"reason", reason},
                      {"resume_after", WatermarkJson(topic.resume_after)},
                      {"retention_floor", WatermarkJson(topic.floor)},
                      {"head_watermark", WatermarkJson(topic.head)},
                      {"replay_lag", WatermarkJson(lag)},
                      {"replay_budget_events", nullptr},  // no budget is set for the topic
                      {"qos_tier", "warm"}});
    // What can be had without a document store: everything retained, from the floor, in the current epoch.
    plan.push_back({{"topic", topic.topic},
                    {"head_watermark", WatermarkJson(topic.head)},
                    {"snapshot",
                     {{"source", "journal"},
                      {"resume_after", WatermarkJson(topic.floor)},
                      {"epoch", WatermarkJson(topic.epoch)}}}});
  }
  Json body = ErrorJson("stale_cursor", "the cursor cannot be resumed; take a snapshot and subscribe again");
  body["full_resync_required"] = true;
  body["reason_codes"] = std::move(reasons);
  body["stale_topics"] = std::move(topics);
  body["snapshot_plan"] = {{"format", "openagents.sync.snapshot.v1"}, {"topics", std::move(plan)}};
  return body;
}

}  // namespace oasync
