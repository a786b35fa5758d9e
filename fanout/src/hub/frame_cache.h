// FrameCache: ready frames of one run of events, so that subscribers at the same place share one.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "wire/batch.h"
#include "wire/frame.h"

namespace oasync {

// What decides the bytes of a batch, given the run of events it is cut from.
struct FrameKey {
  uint64_t after = 0;   // start of the covered interval
  uint64_t cursor = 0;  // where reading starts: after, or past voids that follow it
  uint32_t max_events = 0;
  Encoding encoding = Encoding::kJson;
  bool deflate = false;  // compressed, unless that made it no smaller
  bool operator==(const FrameKey&) const = default;
};

// Holds the last `kEntries` frames. Must be cleared whenever the run grows, so that whoever comes later takes the
// larger batch.
template <size_t kEntries>
class FrameCache {
 public:
  // Null if there is none. `goal` is the head that the subscriber has to reach for replay_complete.
  FrameRef Find(const FrameKey& key, uint64_t goal) const {
    for (const Entry& entry : entries_) {
      if (entry.frame && entry.key == key && entry.complete == (entry.frame->through_watermark >= goal)) {
        return entry.frame;
      }
    }
    return nullptr;
  }
  void Put(const FrameKey& key, bool complete, FrameRef frame) {
    entries_[next_] = {key, complete, std::move(frame)};
    next_ = (next_ + 1) % kEntries;
  }
  void Clear() {
    if (!entries_[(next_ + kEntries - 1) % kEntries].frame) return;  // nothing was put since the last time
    for (Entry& entry : entries_) entry.frame.reset();
    next_ = 0;
  }

 private:
  struct Entry {
    FrameKey key;
    bool complete = false;
    FrameRef frame;
  };
  std::array<Entry, kEntries> entries_;
  size_t next_ = 0;
};

}  // namespace oasync
