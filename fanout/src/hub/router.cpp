#include "hub/router.h"

#include <algorithm>
#include <utility>

namespace oasync {

class Router::LoopFeed final : public TopicFeed {
 public:
  LoopFeed(Router& router, uint32_t loop) : router_(router), loop_(loop) {}
  void Follow(const std::string& topic) override { router_.Follow(loop_, topic); }
  void Unfollow(const std::string& topic) override { router_.Unfollow(loop_, topic); }

 private:
  Router& router_;
  const uint32_t loop_;
};

TopicFeed& Router::AddLoop(LoopPort* port) {
  const auto loop = static_cast<uint32_t>(ports_.size());
  ports_.push_back(port);
  outgoing_.emplace_back();
  feeds_.push_back(std::make_unique<LoopFeed>(*this, loop));
  return *feeds_.back();
}

void Router::Follow(uint32_t loop, const std::string& topic) {
  const std::lock_guard order(order_mutex_);
  {
    const std::lock_guard lock(mutex_);
    Route& route = routes_[topic];
    route.loops.push_back(loop);
    if (route.loops.size() > 1) {
      if (route.following) ports_[loop]->PostFollowing(route.state);
      return;
    }
  }
  source_->Follow(topic);
}

void Router::Unfollow(uint32_t loop, const std::string& topic) {
  const std::lock_guard order(order_mutex_);
  {
    const std::lock_guard lock(mutex_);
    const auto it = routes_.find(topic);
    if (it == routes_.end()) return;
    std::erase(it->second.loops, loop);
    if (!it->second.loops.empty()) return;
    routes_.erase(it);
  }
  source_->Unfollow(topic);
}

void Router::OnFollowing(const TopicState& state) {
  const std::lock_guard lock(mutex_);
  const auto it = routes_.find(state.topic);
  if (it == routes_.end()) return;
  it->second.following = true;
  it->second.state = state;
  for (const uint32_t loop : it->second.loops) ports_[loop]->PostFollowing(state);
}

void Router::OnEvents(std::vector<EventRef> events) {
  events_received_.fetch_add(events.size(), std::memory_order_relaxed);
  const std::lock_guard lock(mutex_);
  Route* route = nullptr;
  for (EventRef& event : events) {
    if (route == nullptr || route->state.topic != event->topic) {
      const auto it = routes_.find(event->topic);
      route = it == routes_.end() || !it->second.following ? nullptr : &it->second;
      if (route == nullptr) continue;
    }
    route->state.head = std::max(route->state.head, event->watermark);
    for (const uint32_t loop : route->loops) outgoing_[loop].push_back(event);
  }
  for (size_t loop = 0; loop < ports_.size(); ++loop) {
    if (!outgoing_[loop].empty()) ports_[loop]->PostEvents(std::exchange(outgoing_[loop], {}));
  }
}

void Router::OnTailMode(TailMode mode) {
  const TailMode before = tail_mode_.exchange(mode, std::memory_order_relaxed);
  if (before == mode) return;
  tail_mode_changes_.fetch_add(1, std::memory_order_relaxed);  // the source logs it, with the reason
}

}  // namespace oasync
