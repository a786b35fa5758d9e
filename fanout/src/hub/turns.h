// Turns: whose turn it is among one session's subscriptions.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "hub/topic.h"

namespace oasync {

// A line per QoS tier, linked through Subscription::next. A hot topic goes first, but not alone: while all tiers have
// somebody waiting, of seven turns four are hot, two warm and one cold, and within a tier everyone comes round.
class Turns {
 public:
  bool empty() const {
    for (const Line& line : lines_) {
      if (line.first != nullptr) return false;
    }
    return true;
  }
  void Push(Subscription* subscription);
  // REQUIRES: !empty().
  Subscription* Pop();
  // REQUIRES: it is in a line.
  void Remove(Subscription* subscription);

 private:
  struct Line {
    Subscription* first = nullptr;
    Subscription* last = nullptr;
  };
  static constexpr std::array<uint8_t, 3> kWeights = {1, 2, 4};  // by QosTier
  static size_t TierOf(const Subscription& subscription) { return static_cast<size_t>(subscription.tier); }

  std::array<Line, 3> lines_;
  std::array<uint8_t, 3> left_ = kWeights;  // turns of each tier until all have theirs again
};

}  // namespace oasync
