#include "hub/turns.h"

namespace oasync {

void Turns::Push(Subscription* subscription) {
  Line& line = lines_[TierOf(*subscription)];
  subscription->next = nullptr;
  (line.last != nullptr ? line.last->next : line.first) = subscription;
  line.last = subscription;
}

Subscription* Turns::Pop() {
  while (true) {
    for (size_t tier = lines_.size(); tier-- > 0;) {
      Line& line = lines_[tier];
      if (line.first == nullptr || left_[tier] == 0) continue;
      --left_[tier];
      Subscription* subscription = line.first;
      line.first = subscription->next;
      if (line.first == nullptr) line.last = nullptr;
      subscription->next = nullptr;
      return subscription;
    }
    left_ = kWeights;
  }
}

void Turns::Remove(Subscription* subscription) {
  Line& line = lines_[TierOf(*subscription)];
  Subscription* before = nullptr;
  for (Subscription* it = line.first; it != subscription; it = it->next) before = it;
  (before == nullptr ? line.first : before->next) = subscription->next;
  if (line.last == subscription) line.last = before;
  subscription->next = nullptr;
}

}  // namespace oasync
