#include "hub/router.h"

#include <algorithm>
#include <utility>

namespace oasync {
namespace {

// Takes the loop off a list of losses: any of its, or only one.
template <typename Losses>
bool EraseLoss(Losses* losses, uint32_t loop, std::optional<uint64_t> number = {}) {
  return std::erase_if(*losses,
                       [&](const auto& loss) { return loss.loop == loop && (!number || loss.number == *number); }) != 0;
}

}  // namespace

void LoopPort::Taken(const std::vector<EventRef>& events) {
  uint64_t bytes = 0;
  for (const EventRef& event : events) bytes += WeightOf(*event);
  queued_events_.fetch_sub(events.size(), std::memory_order_relaxed);
  queued_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
}

class Router::LoopFeed final : public TopicFeed {
 public:
  LoopFeed(Router& router, uint32_t loop) : router_(router), loop_(loop) {}
  void Follow(const std::string& topic) override { router_.Follow(loop_, topic); }
  void Unfollow(const std::string& topic) override { router_.Unfollow(loop_, topic); }
  std::optional<TopicState> Recover(const std::string& topic, uint64_t loss) override {
    return router_.Recover(loop_, topic, loss);
  }

 private:
  Router& router_;
  const uint32_t loop_;
};

TopicFeed& Router::AddLoop(LoopPort* port, const LoopQueueLimits& limits) {
  port->limits_ = limits;
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
    EraseLoss(&it->second.lost, loop);
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
  it->second.lost.clear();
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
    for (const uint32_t loop : route->loops) Give(loop, route, event);
  }
  for (uint32_t loop = 0; loop < ports_.size(); ++loop) Post(loop);
}

bool Router::HasRoom(uint32_t loop, uint64_t bytes) const {
  const LoopPort& port = *ports_[loop];
  const Outgoing& outgoing = outgoing_[loop];
  const uint64_t events_there = port.queued_events() + outgoing.events.size();
  // However large it is, one is taken by a loop that waits for it.
  if (events_there == 0) return true;
  return events_there < port.limits_.max_events &&
         port.queued_bytes() + outgoing.bytes + bytes <= port.limits_.max_bytes;
}

void Router::Give(uint32_t loop, Route* route, const EventRef& event) {
  for (const Loss& loss : route->lost) {
    if (loss.loop == loop) return;
  }
  const uint64_t bytes = WeightOf(*event);
  if (!HasRoom(loop, bytes)) {
    const uint64_t number = topics_lost_.fetch_add(1, std::memory_order_relaxed) + 1;
    route->lost.push_back({loop, number});
    outgoing_[loop].lost.emplace_back(route->state.topic, number);
    return;
  }
  outgoing_[loop].events.push_back(event);
  outgoing_[loop].bytes += bytes;
}

void Router::Post(uint32_t loop) {
  Outgoing outgoing = std::exchange(outgoing_[loop], {});
  LoopPort& port = *ports_[loop];
  if (!outgoing.events.empty()) {
    port.queued_events_.fetch_add(outgoing.events.size(), std::memory_order_relaxed);
    port.queued_bytes_.fetch_add(outgoing.bytes, std::memory_order_relaxed);
    port.PostEvents(std::move(outgoing.events));
  }
  for (const auto& [topic, number] : outgoing.lost) port.PostLost(topic, number);
}

std::optional<TopicState> Router::Recover(uint32_t loop, const std::string& topic, uint64_t loss) {
  const std::lock_guard lock(mutex_);
  const auto it = routes_.find(topic);
  // Followed anew in the meantime, or the tail started over: it was told then where it stands. Should it have been lost
  // again since, the word of that is still on its way: to recover now would let those events be taken for known.
  if (it == routes_.end() || !EraseLoss(&it->second.lost, loop, loss)) return std::nullopt;
  return it->second.state;
}

uint64_t Router::queued_events() const {
  uint64_t sum = 0;
  for (const LoopPort* port : ports_) sum += port->queued_events();
  return sum;
}

uint64_t Router::queued_bytes() const {
  uint64_t sum = 0;
  for (const LoopPort* port : ports_) sum += port->queued_bytes();
  return sum;
}

void Router::OnTailMode(TailMode mode) {
  const TailMode before = tail_mode_.exchange(mode, std::memory_order_relaxed);
  if (before == mode) return;
  tail_mode_changes_.fetch_add(1, std::memory_order_relaxed);  // the source logs it, with the reason
}

}  // namespace oasync
