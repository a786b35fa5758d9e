#include "recording_sink.h"

#include <utility>

namespace oasync::pgtest {

void RecordingSink::OnFollowing(const TopicState& state) {
  const std::lock_guard lock(mutex_);
  Topic& topic = topics_[state.topic];
  topic.followings.push_back(state);
  topic.events.clear();
  topic.last = state.head;
  changed_.notify_all();
}

void RecordingSink::OnEvents(std::vector<EventRef> events) {
  const std::lock_guard gate(gate_);
  const std::lock_guard lock(mutex_);
  if (events.empty()) faults_.push_back("empty OnEvents");
  for (auto& event : events) {
    const auto found = topics_.find(event->topic);
    if (found == topics_.end()) {
      faults_.push_back("event of a topic that is not followed: " + event->topic);
      continue;
    }
    Topic& topic = found->second;
    if (event->watermark != topic.last + 1) {
      faults_.push_back(event->topic + ": " + std::to_string(event->watermark) + " after " +
                        std::to_string(topic.last));
    }
    topic.last = event->watermark;
    topic.events.push_back(std::move(event));
  }
  changed_.notify_all();
}

void RecordingSink::OnTailMode(TailMode mode) {
  const std::lock_guard lock(mutex_);
  modes_.push_back(mode);
  changed_.notify_all();
}

template <typename Condition>
bool RecordingSink::WaitFor(std::chrono::seconds limit, Condition condition) {
  std::unique_lock lock(mutex_);
  // system_clock: TSan of GCC 12 does not know pthread_cond_clockwait and would report a double lock.
  return changed_.wait_until(lock, std::chrono::system_clock::now() + limit, condition);
}

bool RecordingSink::WaitForMode(TailMode mode, std::chrono::seconds limit) {
  return WaitFor(limit, [&] { return !modes_.empty() && modes_.back() == mode; });
}

bool RecordingSink::WaitForFollowings(const std::string& topic, size_t count, std::chrono::seconds limit) {
  return WaitFor(limit, [&] { return topics_[topic].followings.size() >= count; });
}

bool RecordingSink::WaitForWatermark(const std::string& topic, uint64_t watermark, std::chrono::seconds limit) {
  return WaitFor(limit, [&] { return topics_[topic].last >= watermark; });
}

RecordingSink::Topic RecordingSink::topic(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = topics_.find(name);
  return found == topics_.end() ? Topic{} : found->second;
}

std::vector<TailMode> RecordingSink::modes() const {
  const std::lock_guard lock(mutex_);
  return modes_;
}

std::vector<std::string> RecordingSink::faults() const {
  const std::lock_guard lock(mutex_);
  return faults_;
}

void RecordingSink::Forget(const std::string& topic) {
  const std::lock_guard lock(mutex_);
  topics_.erase(topic);
}

}  // namespace oasync::pgtest
