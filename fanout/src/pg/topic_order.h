// TopicOrder: turns events of many topics, arriving in any order and more than once, into each topic's w+1, w+2, …
//
// Pure: no clock, no I/O, no threads. Knows of each followed topic what was delivered last, holds early events in a
// bounded buffer, and says which topics have waited too long for a missing one, so that the journal is read. When
// the buffer is full early events are dropped: that they exist is remembered, and the journal has them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <queue>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "../event.h"
#include "clock.h"

namespace oasync::pg {

// Place of a followed topic; reused after Unfollow.
using TopicSlot = uint32_t;

// A topic as followed once: a later Follow of the same topic has another ticket.
struct TopicId {
  TopicSlot slot = 0;
  uint64_t ticket = 0;
  bool operator==(const TopicId&) const = default;
};

struct TopicOrderLimits {
  size_t max_held_events = 65'536;   // in all topics
  size_t max_held_bytes = 64 << 20;  // in all topics, about
  size_t max_held_events_of_topic = 8192;
  Millis gap_wait{100};        // before a gap is due
  Millis gap_retry_max{1000};  // pauses between reads of the same gap double up to this
};

class TopicOrder {
 public:
  explicit TopicOrder(const TopicOrderLimits& limits) : limits_(limits) {}

  // Begins to follow a topic: its events are held until Begin(). The topic must not be followed already.
  TopicId Follow(const std::string& topic);
  void Unfollow(TopicId id);

  bool Find(std::string_view topic, TopicId* id) const;
  // Whether the id is of a topic that is followed still.
  bool Valid(TopicId id) const;
  size_t size() const { return by_name_.size(); }
  // Slots are 0 … slot_count() - 1; ids of those in use are found by At().
  TopicSlot slot_count() const { return static_cast<TopicSlot>(topics_.size()); }
  bool At(TopicSlot slot, TopicId* id) const;

  const std::string& name(TopicId id) const { return topics_[id.slot].name; }
  // Last watermark delivered (or the head at Begin). Meaningless before Begin().
  uint64_t delivered(TopicId id) const { return topics_[id.slot].delivered; }
  // Whether Begin() is still to come.
  bool waiting(TopicId id) const { return topics_[id.slot].waiting; }
  // Whether events above delivered() are known to exist.
  bool behind(TopicId id) const { return !waiting(id) && topics_[id.slot].highest > topics_[id.slot].delivered; }

  // Forgets all that is known of the topic's events, as at Follow(): for another history of the database.
  void Restart(TopicId id);
  // Order starts (again) above `head`: held events above it that follow are appended to *out. Nothing that was
  // delivered before counts any more.
  void Begin(TopicId id, uint64_t head, TimePoint now, std::vector<EventRef>* out);

  // Whether an event with this watermark would be of any use.
  bool Wants(TopicId id, uint64_t watermark) const;
  // Takes an event of the topic; appends what can be delivered now to *out. Returns whether it was new.
  bool Offer(TopicId id, EventRef event, TimePoint now, std::vector<EventRef>* out);
  // Takes note that events up to `head` exist.
  void Observe(TopicId id, uint64_t head, TimePoint now);

  // Appends at most `max` topics whose gap is older than gap_wait; each is due again after a pause, until the gap
  // is closed.
  void TakeDueGaps(TimePoint now, size_t max, std::vector<TopicId>* due);
  // When TakeDueGaps may have something; TimePoint::max() for never.
  TimePoint NextGap() const { return gaps_.empty() ? TimePoint::max() : gaps_.top().due; }

  size_t held_events() const { return held_events_; }
  size_t held_bytes() const { return held_bytes_; }

 private:
  struct Topic {
    std::string name;
    uint64_t ticket = 0;  // 0: the slot is free
    uint64_t delivered = 0;
    uint64_t highest = 0;    // highest watermark known to exist
    uint64_t gap_after = 0;  // delivered when the gap's wait began
    Millis gap_pause{0};
    bool waiting = true;
    bool gap_queued = false;
    std::unique_ptr<std::map<uint64_t, EventRef>> held;
  };
  struct Gap {
    TimePoint due;
    TopicId id;
    bool operator>(const Gap& other) const { return due > other.due; }
  };
  struct NameHash {
    using is_transparent = void;
    size_t operator()(std::string_view name) const { return std::hash<std::string_view>()(name); }
  };

  static size_t Weight(const Event& event) { return sizeof(Event) + event.proto.size() + event.json.size(); }
  void Hold(Topic& topic, EventRef event);
  void Drop(Topic& topic, std::map<uint64_t, EventRef>::iterator at);
  void Release(Topic& topic, std::vector<EventRef>* out);
  void WatchGap(TopicId id, TimePoint now);

  const TopicOrderLimits limits_;
  std::vector<Topic> topics_;
  std::vector<TopicSlot> free_;
  std::unordered_map<std::string, TopicId, NameHash, std::equal_to<>> by_name_;
  std::priority_queue<Gap, std::vector<Gap>, std::greater<>> gaps_;
  uint64_t last_ticket_ = 0;
  size_t held_events_ = 0;
  size_t held_bytes_ = 0;
};

}  // namespace oasync::pg
