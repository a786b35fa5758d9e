// SystemTopics: the topics that the server follows for itself. No client may.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "hub/router.h"

namespace oasync {

// Topics of OA Sync itself begin so; subscribing to them is forbidden whatever a token says.
inline constexpr std::string_view kSystemPrefix = "oa_sync.";
inline constexpr char kCanaryTopic[] = "oa_sync.canary";
inline constexpr char kRevocationsTopic[] = "oa_sync.revocations";

inline bool IsSystemTopic(std::string_view topic) { return topic.substr(0, kSystemPrefix.size()) == kSystemPrefix; }

// Followed beside the loops, by the same router. Handlers run on the tail's thread: they must be quick. Watch
// everything before Start(), which is to be called when the source may be asked.
class SystemTopics final : public LoopPort {
 public:
  // Delivery (again) begins above state.head: what was before has to be read otherwise.
  using FollowingHandler = std::function<void(const TopicState& state)>;
  using EventHandler = std::function<void(const Event& event)>;

  explicit SystemTopics(Router& router) : feed_(router.AddLoop(this)) {}

  void Watch(const std::string& topic, FollowingHandler on_following, EventHandler on_event) {
    handlers_[topic] = {std::move(on_following), std::move(on_event)};
  }
  void Start() {
    for (const auto& [topic, handlers] : handlers_) feed_.Follow(topic);
  }

  void PostFollowing(TopicState state) override {
    const auto it = handlers_.find(state.topic);
    if (it != handlers_.end()) it->second.on_following(state);
  }
  void PostEvents(std::vector<EventRef> events) override {
    for (const EventRef& event : events) {
      const auto it = handlers_.find(event->topic);
      if (it != handlers_.end() && event->op != Op::kVoid) it->second.on_event(*event);
    }
    Taken(events);
  }

 private:
  struct Handlers {
    FollowingHandler on_following;
    EventHandler on_event;
  };
  TopicFeed& feed_;
  std::unordered_map<std::string, Handlers> handlers_;
};

}  // namespace oasync
