// TimingWheel: one deadline for each of very many sockets, at constant cost per change.
//
// libwebsockets keeps its timers in one sorted list, which costs O(connections) for every deadline that moves.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace oasync {

// Base of what can be put on a wheel. It leaves the wheel by itself when it is destroyed.
class WheelEntry {
 public:
  WheelEntry() = default;
  WheelEntry(const WheelEntry&) = delete;
  WheelEntry& operator=(const WheelEntry&) = delete;
  ~WheelEntry() { Unlink(); }

  bool armed() const { return next_ != nullptr; }
  int64_t deadline_ms() const { return deadline_ms_; }

 private:
  friend class TimingWheel;
  void Unlink() {
    if (next_ == nullptr) return;
    next_->prev_ = prev_;
    prev_->next_ = next_;
    next_ = prev_ = nullptr;
  }
  void LinkBefore(WheelEntry* other) {
    next_ = other;
    prev_ = other->prev_;
    prev_->next_ = this;
    other->prev_ = this;
  }
  WheelEntry* next_ = nullptr;
  WheelEntry* prev_ = nullptr;
  int64_t deadline_ms_ = 0;
};

// A deadline fires at the first Advance at or after it, at most one tick late. One thread only. Every entry must be
// disarmed or destroyed before the wheel is.
class TimingWheel {
 public:
  static constexpr int64_t kTickMs = 50;

  explicit TimingWheel(int64_t now_ms) : slots_(kSlots), tick_(now_ms / kTickMs) {
    for (auto& slot : slots_) slot.next_ = slot.prev_ = &slot;
  }
  ~TimingWheel() {
    for (auto& slot : slots_) slot.next_ = nullptr;  // a slot's head is not linked to anything but itself
  }

  // Sets or moves the deadline; one in the past fires at the next tick.
  void Arm(WheelEntry* entry, int64_t deadline_ms) {
    entry->Unlink();
    entry->deadline_ms_ = deadline_ms;
    int64_t due = (deadline_ms + kTickMs - 1) / kTickMs;
    if (due <= tick_) due = tick_ + 1;
    entry->LinkBefore(&slots_[static_cast<size_t>(due) % kSlots]);
  }
  void Disarm(WheelEntry* entry) { entry->Unlink(); }

  // Calls fire(WheelEntry*) for every due entry, which is disarmed by then and may be armed again or destroyed.
  template <typename Fire>
  void Advance(int64_t now_ms, Fire fire) {
    const int64_t now_tick = now_ms / kTickMs;
    // After a long sleep one turn of the wheel sees every entry.
    if (now_tick - tick_ > static_cast<int64_t>(kSlots)) tick_ = now_tick - static_cast<int64_t>(kSlots);
    while (tick_ < now_tick) {
      ++tick_;
      WheelEntry& slot = slots_[static_cast<size_t>(tick_) % kSlots];
      // Moved to a list of its own first: fire may arm entries into this very slot, or destroy others in it.
      WheelEntry due;
      due.next_ = due.prev_ = &due;
      while (slot.next_ != &slot) {
        WheelEntry* entry = slot.next_;
        entry->Unlink();
        entry->LinkBefore(&due);
      }
      while (due.next_ != &due) {
        WheelEntry* entry = due.next_;
        entry->Unlink();
        if (entry->deadline_ms_ > now_ms) {
          Arm(entry, entry->deadline_ms_);  // a later turn of the wheel
        } else {
          fire(entry);
        }
      }
      due.next_ = due.prev_ = nullptr;
    }
  }

 private:
  static constexpr size_t kSlots = 2048;
  std::vector<WheelEntry> slots_;
  int64_t tick_;
};

}  // namespace oasync
