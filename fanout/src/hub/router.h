// Router: brings the tail's events to the loops that follow their topics, and only to those.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "event.h"
#include "hub/hub.h"
#include "source.h"

namespace oasync {

// Live events that may wait for one loop. Beyond it the loop is told which topics it lost, and reads the journal.
struct LoopQueueLimits {
  uint64_t max_events = UINT64_MAX;
  uint64_t max_bytes = UINT64_MAX;
};

// Where a loop takes its events; called under the router's lock, must only put them into the loop's mailbox.
class LoopPort {
 public:
  virtual ~LoopPort() = default;
  virtual void PostFollowing(TopicState state) = 0;
  virtual void PostEvents(std::vector<EventRef> events) = 0;
  // Events of the topic were left out, from here on until the loop calls TopicFeed::Recover with the same `loss`.
  virtual void PostLost(const std::string& /*topic*/, uint64_t /*loss*/) {}

  // To be called by the loop when it has done with a list: makes room for others. Any thread.
  void Taken(const std::vector<EventRef>& events);
  uint64_t queued_events() const { return queued_events_.load(std::memory_order_relaxed); }
  uint64_t queued_bytes() const { return queued_bytes_.load(std::memory_order_relaxed); }

 private:
  friend class Router;
  // Counted by the router alone, and uncounted by Taken(); only where there is a limit.
  std::atomic<uint64_t> queued_events_{0};
  std::atomic<uint64_t> queued_bytes_{0};
  LoopQueueLimits limits_;
};

// Counts the loops that follow a topic: the source is asked once for all of them. A loop that joins later is given the
// place where the tail stands at that moment, so what it gets is dense as well. Thread-safe.
class Router final : public EventSink {
 public:
  explicit Router(Source* source = nullptr) : source_(source) {}
  // The source and the sink need each other; before the first Follow.
  void SetSource(Source* source) { source_ = source; }
  // Before the source starts. The feed it returns is the loop's; the port must outlive the source.
  TopicFeed& AddLoop(LoopPort* port, const LoopQueueLimits& limits = {});

  void OnFollowing(const TopicState& state) override;
  void OnEvents(std::vector<EventRef> events) override;
  void OnTailMode(TailMode mode) override;

  TailMode tail_mode() const { return tail_mode_.load(std::memory_order_relaxed); }
  uint64_t tail_mode_changes() const { return tail_mode_changes_.load(std::memory_order_relaxed); }
  // How often a topic was lost for a loop that did not keep up.
  uint64_t topics_lost() const { return topics_lost_.load(std::memory_order_relaxed); }
  // Live events that wait for the loops, and their bytes.
  uint64_t queued_events() const;
  uint64_t queued_bytes() const;
  uint64_t events_received() const { return events_received_.load(std::memory_order_relaxed); }

 private:
  class LoopFeed;
  // A loop that gets no events of a topic until it recovers.
  struct Loss {
    uint32_t loop = 0;
    uint64_t number = 0;
  };
  struct Route {
    std::vector<uint32_t> loops;  // that follow the topic
    std::vector<Loss> lost;       // those of them that have lost it
    bool following = false;
    TopicState state;  // head: the last event that came
  };

  void Follow(uint32_t loop, const std::string& topic);
  void Unfollow(uint32_t loop, const std::string& topic);
  std::optional<TopicState> Recover(uint32_t loop, const std::string& topic, uint64_t loss);
  bool HasRoom(uint32_t loop, uint64_t bytes) const;
  void Give(uint32_t loop, Route* route, const EventRef& event);
  void Post(uint32_t loop);

  Source* source_;
  // Taken first and only by loops: keeps the source's Follow and Unfollow in the order of the routes, without holding
  // what the tail's thread needs to deliver.
  std::mutex order_mutex_;
  std::mutex mutex_;
  std::unordered_map<std::string, Route> routes_;
  std::vector<LoopPort*> ports_;
  std::vector<std::unique_ptr<TopicFeed>> feeds_;
  // What is to be posted to a loop; only while OnEvents runs.
  struct Outgoing {
    std::vector<EventRef> events;
    uint64_t bytes = 0;
    std::vector<std::pair<std::string, uint64_t>> lost;
  };
  std::vector<Outgoing> outgoing_;  // by loop
  std::atomic<TailMode> tail_mode_{TailMode::kDown};
  std::atomic<uint64_t> tail_mode_changes_{0};
  std::atomic<uint64_t> events_received_{0};
  std::atomic<uint64_t> topics_lost_{0};
};

}  // namespace oasync
