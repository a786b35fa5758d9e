// LagMeter: how far the subscriptions of one loop are behind, without looking at all of them at once.
//
// Every session reports its subscriptions with its heartbeat, so the reports are spread over the heartbeat's interval
// and cost no walk over everything. The maxima are those of the last interval that is over. One thread, that of the
// loop.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/counters.h"

namespace oasync {

class LagMeter {
 public:
  LagMeter(LoopCounters* counters, int64_t interval_ms) : counters_(*counters), interval_ms_(interval_ms) {}

  // One subscription: events it was not sent yet, and for how many microseconds it has been behind.
  void Report(uint64_t events, int64_t behind_us) {
    const auto count = static_cast<int64_t>(events);
    counters_.lag_events.Observe(count);
    counters_.lag_time.Observe(behind_us);
    most_events_ = std::max(most_events_, count);
    most_us_ = std::max(most_us_, behind_us);
  }
  // To be called often; shows the maxima once the interval is over.
  void Tick(int64_t now_ms) {
    if (now_ms < shown_again_at_ms_) return;
    shown_again_at_ms_ = now_ms + interval_ms_;
    counters_.lag_events_max.Set(most_events_);
    counters_.lag_us_max.Set(most_us_);
    most_events_ = 0;
    most_us_ = 0;
  }

 private:
  LoopCounters& counters_;
  const int64_t interval_ms_;
  int64_t shown_again_at_ms_ = 0;
  int64_t most_events_ = 0;
  int64_t most_us_ = 0;
};

}  // namespace oasync
