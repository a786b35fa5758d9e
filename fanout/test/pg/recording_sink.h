// RecordingSink: an EventSink that checks the promise of its interface and remembers what it got.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "source.h"

namespace oasync::pgtest {

class RecordingSink : public EventSink {
 public:
  struct Topic {
    std::vector<TopicState> followings;
    std::vector<EventRef> events;  // since the last following
    uint64_t last = 0;             // watermark
  };

  void OnFollowing(const TopicState& state) override;
  void OnEvents(std::vector<EventRef> events) override;
  void OnTailMode(TailMode mode) override;

  // False when the condition does not come true in time.
  bool WaitForMode(TailMode mode, std::chrono::seconds limit = std::chrono::seconds(30));
  bool WaitForFollowings(const std::string& topic, size_t count, std::chrono::seconds limit = std::chrono::seconds(30));
  bool WaitForWatermark(const std::string& topic, uint64_t watermark,
                        std::chrono::seconds limit = std::chrono::seconds(60));

  Topic topic(const std::string& name) const;
  std::vector<TailMode> modes() const;
  // Violations of the promise; empty is right.
  std::vector<std::string> faults() const;
  void Forget(const std::string& topic);
  // Keeps the tail thread standing in OnEvents until Release(), which is for the same thread.
  void Block() { gate_.lock(); }
  void Release() { gate_.unlock(); }

 private:
  template <typename Condition>
  bool WaitFor(std::chrono::seconds limit, Condition condition);

  std::mutex gate_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Topic> topics_;
  std::vector<TailMode> modes_;
  std::vector<std::string> faults_;
};

}  // namespace oasync::pgtest
