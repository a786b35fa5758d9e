#include "hub/window.h"

#include <utility>

namespace oasync {

void Window::Reset(uint64_t base) {
  events_.clear();
  bytes_ = 0;
  base_ = base;
}

void Window::Append(EventRef event) {
  bytes_ += WeightOf(*event);
  events_.push_back(std::move(event));
  while (events_.size() > max_events_ || bytes_ > max_bytes_) {
    bytes_ -= WeightOf(*events_.front());
    events_.pop_front();
    ++base_;
  }
}

}  // namespace oasync
