#include "topic_order.h"

#include <algorithm>
#include <utility>

namespace oasync::pg {

TopicId TopicOrder::Follow(const std::string& topic) {
  TopicSlot slot = slot_count();
  if (free_.empty()) {
    topics_.emplace_back();
  } else {
    slot = free_.back();
    free_.pop_back();
  }
  const TopicId id{slot, ++last_ticket_};
  Topic& entry = topics_[slot];
  entry = Topic{};
  entry.name = topic;
  entry.ticket = id.ticket;
  by_name_.emplace(topic, id);
  return id;
}

void TopicOrder::Unfollow(TopicId id) {
  if (!Valid(id)) return;
  Topic& topic = topics_[id.slot];
  while (topic.held != nullptr) Drop(topic, topic.held->begin());
  by_name_.erase(topic.name);
  topic = Topic{};
  free_.push_back(id.slot);
}

void TopicOrder::Restart(TopicId id) {
  Topic& topic = topics_[id.slot];
  while (topic.held != nullptr) Drop(topic, topic.held->begin());
  topic.waiting = true;
  topic.delivered = 0;
  topic.highest = 0;
}

bool TopicOrder::Find(std::string_view topic, TopicId* id) const {
  const auto found = by_name_.find(topic);
  if (found == by_name_.end()) return false;
  *id = found->second;
  return true;
}

bool TopicOrder::Valid(TopicId id) const {
  return id.ticket != 0 && id.slot < topics_.size() && topics_[id.slot].ticket == id.ticket;
}

bool TopicOrder::At(TopicSlot slot, TopicId* id) const {
  if (slot >= topics_.size() || topics_[slot].ticket == 0) return false;
  *id = {slot, topics_[slot].ticket};
  return true;
}

void TopicOrder::Begin(TopicId id, uint64_t head, TimePoint now, std::vector<EventRef>* out) {
  Topic& topic = topics_[id.slot];
  topic.waiting = false;
  topic.delivered = head;
  while (topic.held != nullptr && topic.held->begin()->first <= head) Drop(topic, topic.held->begin());
  Release(topic, out);
  if (behind(id)) WatchGap(id, now);
}

bool TopicOrder::Wants(TopicId id, uint64_t watermark) const {
  const Topic& topic = topics_[id.slot];
  if (topic.held != nullptr && topic.held->contains(watermark)) return false;
  return topic.waiting || watermark > topic.delivered;
}

bool TopicOrder::Offer(TopicId id, EventRef event, TimePoint now, std::vector<EventRef>* out) {
  const uint64_t watermark = event->watermark;
  if (!Wants(id, watermark)) return false;
  Topic& topic = topics_[id.slot];
  topic.highest = std::max(topic.highest, watermark);
  if (!topic.waiting && watermark == topic.delivered + 1) {
    topic.delivered = watermark;
    out->push_back(std::move(event));
    Release(topic, out);
  } else {
    Hold(topic, std::move(event));
  }
  if (behind(id)) WatchGap(id, now);
  return true;
}

void TopicOrder::Observe(TopicId id, uint64_t head, TimePoint now) {
  Topic& topic = topics_[id.slot];
  topic.highest = std::max(topic.highest, head);
  if (behind(id)) WatchGap(id, now);
}

void TopicOrder::Hold(Topic& topic, EventRef event) {
  const size_t weight = Weight(*event);
  const auto full = [&] {
    return held_events_ >= limits_.max_held_events || held_bytes_ + weight > limits_.max_held_bytes ||
           (topic.held != nullptr && topic.held->size() >= limits_.max_held_events_of_topic);
  };
  // The lowest are needed first: make room at the expense of higher ones of the same topic.
  while (full() && topic.held != nullptr && topic.held->rbegin()->first > event->watermark) {
    Drop(topic, std::prev(topic.held->end()));
  }
  if (full()) return;
  if (topic.held == nullptr) topic.held = std::make_unique<std::map<uint64_t, EventRef>>();
  const uint64_t watermark = event->watermark;
  topic.held->emplace(watermark, std::move(event));
  held_events_ += 1;
  held_bytes_ += weight;
}

void TopicOrder::Drop(Topic& topic, std::map<uint64_t, EventRef>::iterator at) {
  held_events_ -= 1;
  held_bytes_ -= Weight(*at->second);
  topic.held->erase(at);
  if (topic.held->empty()) topic.held.reset();
}

void TopicOrder::Release(Topic& topic, std::vector<EventRef>* out) {
  while (topic.held != nullptr) {
    const auto first = topic.held->begin();
    if (first->first > topic.delivered + 1) return;
    if (first->first == topic.delivered + 1) {
      topic.delivered = first->first;
      out->push_back(first->second);
    }
    Drop(topic, first);
  }
}

void TopicOrder::WatchGap(TopicId id, TimePoint now) {
  Topic& topic = topics_[id.slot];
  if (topic.gap_queued) return;
  topic.gap_queued = true;
  topic.gap_after = topic.delivered;
  topic.gap_pause = limits_.gap_wait;
  gaps_.push({now + topic.gap_pause, id});
}

void TopicOrder::TakeDueGaps(TimePoint now, size_t max, std::vector<TopicId>* due) {
  while (max > 0 && !gaps_.empty() && gaps_.top().due <= now) {
    const TopicId id = gaps_.top().id;
    gaps_.pop();
    if (!Valid(id)) continue;
    Topic& topic = topics_[id.slot];
    topic.gap_queued = false;
    if (!behind(id)) continue;
    if (topic.gap_after != topic.delivered) {
      // The gap that was waited for is closed; this one is younger than the wait.
      WatchGap(id, now);
      continue;
    }
    due->push_back(id);
    --max;
    const Millis pause = std::min(std::max(topic.gap_pause * 2, Millis(1)), limits_.gap_retry_max);
    topic.gap_queued = true;
    topic.gap_pause = pause;
    gaps_.push({now + pause, id});
  }
}

}  // namespace oasync::pg
