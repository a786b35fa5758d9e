// Window: the newest events of one topic, held for those who are nearly caught up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

#include "event.h"

namespace oasync {

// A contiguous run of events (base, head], bounded by count and by bytes; what exceeds a bound falls off at the old
// end. Events are shared, so a window costs little more than its pointers. One thread only.
class Window {
 public:
  Window(size_t max_events, size_t max_bytes) : max_events_(max_events), max_bytes_(max_bytes) {}

  // Empties it; the next event must be base + 1.
  void Reset(uint64_t base);
  // REQUIRES: event->watermark == head() + 1.
  void Append(EventRef event);

  uint64_t base() const { return base_; }  // watermark before the oldest event held
  uint64_t head() const { return base_ + events_.size(); }
  // REQUIRES: base() < watermark <= head().
  const Event& At(uint64_t watermark) const { return *events_[watermark - base_ - 1]; }
  size_t size() const { return events_.size(); }
  size_t bytes() const { return bytes_; }

 private:
  const size_t max_events_;
  const size_t max_bytes_;
  std::deque<EventRef> events_;
  size_t bytes_ = 0;
  uint64_t base_ = 0;
};

}  // namespace oasync
