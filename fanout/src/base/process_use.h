// What this process uses of what it may.
#pragma once

#include <cstdint>
#include <mutex>

#include "base/clock.h"

namespace oasync {

struct ProcessUse {
  int64_t open_descriptors = -1;  // -1: not known
  int64_t descriptor_limit = -1;
  int64_t resident_bytes = -1;
};

// Any thread. Kernels before 6.2 have to be asked for each open descriptor: a microsecond or two each.
ProcessUse ReadProcessUse();

// Looks once a second, or more seldom where a look takes long, so that no scrape waits for it: an event loop answers
// those. Thread-safe.
class ProcessWatch {
 public:
  explicit ProcessWatch(const Clock& clock) : clock_(clock) {}

  // To be called often, by one thread.
  void Tick();
  // As of the last look.
  ProcessUse Read() const;

 private:
  const Clock& clock_;
  int64_t next_ms_ = 0;  // by the thread of Tick
  mutable std::mutex mutex_;
  ProcessUse use_;
};

}  // namespace oasync
