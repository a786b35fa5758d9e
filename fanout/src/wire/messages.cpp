#include "wire/messages.h"

#include "base/json_text.h"
#include "base/percent.h"

namespace oasync {

const char* StaleReasonName(StaleReason reason) {
  switch (reason) {
    case StaleReason::kRetentionFloorBreach:
      return "retention_floor_breach";
    case StaleReason::kReplayBudgetExceeded:
      return "replay_budget_exceeded";
    case StaleReason::kCursorAheadOfHead:
      return "cursor_ahead_of_head";
    case StaleReason::kEpochDiverged:
      return "epoch_diverged";
  }
  return "";
}

namespace {

const char* TierName(QosTier tier) {
  switch (tier) {
    case QosTier::kCold:
      return "cold";
    case QosTier::kWarm:
      return "warm";
    case QosTier::kHot:
      return "hot";
  }
  return "";
}

// Where a client takes up a topic that it cannot resume. Documents are always whole; the journal is so only while
// nothing of it was given up, and more than the budget of it was too much just now.
Json SnapshotJson(const StaleTopic& topic) {
  const bool is_over_budget = topic.reason == StaleReason::kReplayBudgetExceeded;
  const bool is_journal_whole = topic.floor == 0 && !is_over_budget;
  Json snapshot = {{"source", is_journal_whole ? "journal" : "documents"},
                   {"path", "/api/sync/snapshot?topic=" + PercentEncode(topic.topic)},
                   {"epoch", WatermarkJson(topic.epoch)}};
  // Everything retained, also for who wants no documents.
  if (!is_over_budget) snapshot["resume_after"] = WatermarkJson(topic.floor);
  return snapshot;
}

}  // namespace

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
    topics.push_back(
        {{"topic", topic.topic},
         {"reason", reason},
         {"resume_after", WatermarkJson(topic.resume_after)},
         {"retention_floor", WatermarkJson(topic.floor)},
         {"head_watermark", WatermarkJson(topic.head)},
         {"replay_lag", WatermarkJson(lag)},
         {"replay_budget_events", topic.policy.replay_budget == 0 ? Json() : WatermarkJson(topic.policy.replay_budget)},
         {"qos_tier", TierName(topic.policy.qos)}});
    plan.push_back(
        {{"topic", topic.topic}, {"head_watermark", WatermarkJson(topic.head)}, {"snapshot", SnapshotJson(topic)}});
  }
  Json body = ErrorJson("stale_cursor", "the cursor cannot be resumed; take a snapshot and subscribe again");
  body["full_resync_required"] = true;
  body["reason_codes"] = std::move(reasons);
  body["stale_topics"] = std::move(topics);
  body["snapshot_plan"] = {{"format", "openagents.sync.snapshot.v1"}, {"topics", std::move(plan)}};
  return body;
}

}  // namespace oasync
