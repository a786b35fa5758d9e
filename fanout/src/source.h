// Source: where events come from. The hub knows only this interface; PostgreSQL stands behind it.
//
// One Source serves all event loops. Every method may be called from any thread and returns at once.
// Callbacks run on a thread of the Source; they must be quick, must not throw and must not call back into
// the Source synchronously in a way that waits.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "event.h"

namespace oasync {

// How a topic is served, by its policy in the database.
enum class QosTier : uint8_t { kCold, kWarm, kHot };
struct TopicPolicy {
  uint64_t replay_budget = 0;  // events that one resume may replay; 0: no limit
  QosTier qos = QosTier::kWarm;
};

// What the database says of a topic at one moment. An unknown topic is {0, 0, epoch}.
struct TopicState {
  std::string topic;
  uint64_t head = 0;   // last visible watermark
  uint64_t floor = 0;  // events at or below it may be gone; resuming at the floor is fine, below it is stale
  uint64_t epoch = 0;
  // Last watermark that a transaction holds. A commit reaches its subscribers when it is on disk, which may be before
  // other transactions see it: a cursor between head and this is ahead of nothing.
  uint64_t allocated = 0;
  TopicPolicy policy{};
};

// How much of an earlier epoch the present history of a topic has: every event up to and with `through`.
struct SharedHistory {
  uint64_t epoch = 0;
  uint64_t through = 0;
};

// Whether a cursor of an earlier epoch is in the present history.
inline bool Shares(const std::vector<SharedHistory>& histories, uint64_t epoch, uint64_t watermark) {
  for (const SharedHistory& history : histories) {
    if (history.epoch == epoch) return watermark <= history.through;
  }
  return false;
}

// Outcome of an asynchronous read. `error` is empty on success, otherwise one line for the log; `sqlstate` is the
// database's code for it, if it gave one.
template <typename T>
struct ReadResult {
  std::string error;
  T value{};
  std::string sqlstate{};
  bool ok() const { return error.empty(); }
};

using HeadsCallback = std::function<void(ReadResult<std::vector<TopicState>>)>;
using HistoriesCallback = std::function<void(ReadResult<std::vector<std::vector<SharedHistory>>>)>;
using EventsCallback = std::function<void(ReadResult<std::vector<EventRef>>)>;

// Where live events come from at the moment.
enum class TailMode : uint8_t { kDown, kJournal, kLogical };

// Receives live events. Called on the tail thread only.
class EventSink {
 public:
  virtual ~EventSink() = default;
  // The tail now delivers every event of `state.topic` with watermark > state.head, in order, no gap, no repeat.
  // Called once per Follow, and again, with a newer state, if the tail had to start over (epoch change): all that
  // was known of the topic is then void.
  virtual void OnFollowing(const TopicState& state) = 0;
  // Live events, in order within each topic, voids included. Each is exactly one above the topic's previous one.
  virtual void OnEvents(std::vector<EventRef> events) = 0;
  // For readiness and metrics only; delivery does not depend on it.
  virtual void OnTailMode(TailMode mode) = 0;
};

class Source {
 public:
  virtual ~Source() = default;
  // Starts delivering a topic's live events to the sink. Reference counting is the caller's.
  virtual void Follow(const std::string& topic) = 0;
  virtual void Unfollow(const std::string& topic) = 0;
  // Heads, floors and epoch of topics, in the order asked.
  virtual void ReadHeads(std::vector<std::string> topics, HeadsCallback done) = 0;
  // Of each topic, in the order asked, what it shares with which earlier epochs. An epoch that is not there shares
  // nothing that could be resumed.
  virtual void ReadHistories(std::vector<std::string> topics, HistoriesCallback done) = 0;
  // Journal events after `after`, dense from after + 1 (voids included), at most max_events, at most about
  // max_bytes (at least one event if there is one). Stops at the first gap. Only durable commits are returned.
  virtual void ReadAfter(const std::string& topic, uint64_t after, uint32_t max_events, uint64_t max_bytes,
                         EventsCallback done) = 0;
};

}  // namespace oasync
