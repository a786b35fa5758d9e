// Router: brings the tail's events to the loops that follow their topics, and only to those.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "event.h"
#include "hub/hub.h"
#include "source.h"

namespace oasync {

// Where a loop takes its events; called under the router's lock, must only put them into the loop's mailbox.
class LoopPort {
 public:
  virtual ~LoopPort() = default;
  virtual void PostFollowing(TopicState state) = 0;
  virtual void PostEvents(std::vector<EventRef> events) = 0;
};

// Counts the loops that follow a topic: the source is asked once for all of them. A loop that joins later is given the
// place where the tail stands at that moment, so what it gets is dense as well. Thread-safe.
class Router final : public EventSink {
 public:
  explicit Router(Source* source = nullptr) : source_(source) {}
  // The source and the sink need each other; before the first Follow.
  void SetSource(Source* source) { source_ = source; }
  // Before the source starts. The feed it returns is the loop's; the port must outlive the source.
  TopicFeed& AddLoop(LoopPort* port);

  void OnFollowing(const TopicState& state) override;
  void OnEvents(std::vector<EventRef> events) override;
  void OnTailMode(TailMode mode) override;

  TailMode tail_mode() const { return tail_mode_.load(std::memory_order_relaxed); }
  uint64_t tail_mode_changes() const { return tail_mode_changes_.load(std::memory_order_relaxed); }
  uint64_t events_received() const { return events_received_.load(std::memory_order_relaxed); }

 private:
  class LoopFeed;
  struct Route {
    std::vector<uint32_t> loops;  // that follow the topic
    bool following = false;
    TopicState state;  // head: the last event that came
  };

  void Follow(uint32_t loop, const std::string& topic);
  void Unfollow(uint32_t loop, const std::string& topic);

  Source* source_;
  // Taken first and only by loops: keeps the source's Follow and Unfollow in the order of the routes, without holding
  // what the tail's thread needs to deliver.
  std::mutex order_mutex_;
  std::mutex mutex_;
  std::unordered_map<std::string, Route> routes_;
  std::vector<LoopPort*> ports_;
  std::vector<std::unique_ptr<TopicFeed>> feeds_;
  std::vector<std::vector<EventRef>> outgoing_;  // by loop; only while OnEvents runs
  std::atomic<TailMode> tail_mode_{TailMode::kDown};
  std::atomic<uint64_t> tail_mode_changes_{0};
  std::atomic<uint64_t> events_received_{0};
};

}  // namespace oasync
