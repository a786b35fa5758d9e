#include "follower.h"

#include <algorithm>

#include "wire/messages.h"

namespace oasync::terminal {
namespace {

Json CursorJson(const std::string& topic, const Cursor& cursor) {
  Json json = {{"topic", topic}, {"watermark", WatermarkJson(cursor.watermark)}};
  if (cursor.epoch != 0) json["epoch"] = cursor.epoch;
  return json;
}

}  // namespace

void Follower::Restart(const std::string& topic, std::optional<Cursor> cursor) {
  const auto found = topics_.find(topic);
  if (found == topics_.end()) return;
  found->second = Topic{};  // another history may end earlier: heads are heard of anew
  found->second.cursor = cursor;
}

void Follower::Adopt(const Json& response) {
  for (const Json& place : Member(response, "current_watermarks")) {
    const auto found = topics_.find(TextMember(place, "topic"));
    const auto watermark = ReadInteger(Member(place, "watermark"));
    if (found == topics_.end() || !watermark) continue;
    Topic& topic = found->second;
    topic.asked_again = false;
    const uint64_t epoch = ReadInteger(Member(place, "epoch")).value_or(0);
    // The server goes on from where it was asked to. Where nobody asked, it says where it begins.
    if (!topic.cursor) topic.cursor = Cursor{epoch, *watermark};
    if (epoch != 0) topic.cursor->epoch = epoch;
  }
  for (const Json& head : Member(response, "head_watermarks")) {
    const auto found = topics_.find(TextMember(head, "topic"));
    const auto watermark = ReadInteger(Member(head, "watermark"));
    if (found == topics_.end() || !watermark) continue;
    found->second.head = std::max(found->second.head, *watermark);
    if (!found->second.target) found->second.target = *watermark;
  }
}

void Follower::Heartbeat(const Json& payload) {
  for (const Json& place : Member(payload, "watermarks")) {
    const auto found = topics_.find(TextMember(place, "topic"));
    if (found == topics_.end()) continue;
    Topic& topic = found->second;
    topic.head = std::max(topic.head, ReadInteger(Member(place, "head_watermark")).value_or(0));
    // What was dropped behind a gap was sent, but not handed out.
    if (!topic.asked_again)
      topic.reached = std::max(topic.reached, ReadInteger(Member(place, "watermark")).value_or(0));
  }
}

void Follower::Disconnected() {
  for (auto& [name, topic] : topics_) {
    topic.asked_again = false;
    topic.reached = 0;
  }
}

Follower::Outcome Follower::Judge(const UpdateBatch& batch) {
  const auto found = topics_.find(batch.updates(0).topic());
  if (found == topics_.end()) return {Verdict::kIgnore, 0};
  Topic& topic = found->second;
  if (!topic.cursor) return {Verdict::kMalformed, 0};
  for (const auto& head : batch.head_watermarks()) {
    if (head.topic() == found->first) topic.head = std::max(topic.head, head.watermark());
  }
  topic.head = std::max(topic.head, batch.through_watermark());
  if (batch.after_watermark() > topic.cursor->watermark) {
    if (topic.asked_again) return {Verdict::kIgnore, 0};
    topic.asked_again = true;
    return {Verdict::kGap, 0};
  }
  if (batch.through_watermark() <= topic.cursor->watermark) return {Verdict::kKnown, 0};
  int first = 0;
  while (first < batch.updates_size() && batch.updates(first).watermark() <= topic.cursor->watermark) ++first;
  return {Verdict::kApply, first};
}

void Follower::Advance(const std::string& topic, uint64_t watermark) {
  const auto found = topics_.find(topic);
  if (found == topics_.end() || !found->second.cursor) return;
  found->second.cursor->watermark = std::max(found->second.cursor->watermark, watermark);
}

Json Follower::ResumeAfter() const {
  Json cursors = Json::array();
  for (const auto& [name, topic] : topics_) {
    if (topic.cursor) cursors.push_back(CursorJson(name, *topic.cursor));
  }
  return cursors;
}

Json Follower::ResumeAfter(const std::string& topic) const {
  Json cursors = Json::array();
  const auto found = topics_.find(topic);
  if (found != topics_.end() && found->second.cursor) cursors.push_back(CursorJson(topic, *found->second.cursor));
  return cursors;
}

bool Follower::AtTargets() const {
  return std::all_of(topics_.begin(), topics_.end(), [](const auto& entry) {
    const Topic& topic = entry.second;
    if (!topic.target || !topic.cursor) return false;
    return std::max(topic.cursor->watermark, topic.reached) >= *topic.target;
  });
}

uint64_t Follower::Behind() const {
  uint64_t behind = 0;
  for (const auto& [name, topic] : topics_) {
    const uint64_t at = std::max(topic.cursor ? topic.cursor->watermark : 0, topic.reached);
    behind += topic.head > at ? topic.head - at : 0;
  }
  return behind;
}

std::vector<std::string> Follower::names() const {
  std::vector<std::string> names;
  for (const auto& [name, topic] : topics_) names.push_back(name);
  return names;
}

}  // namespace oasync::terminal
