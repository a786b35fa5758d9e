// What this process uses of what it may.
#pragma once

#include <cstdint>

namespace oasync {

struct ProcessUse {
  int64_t open_descriptors = -1;  // -1: not known
  int64_t descriptor_limit = -1;
  int64_t resident_bytes = -1;
};

// Any thread. Takes time in proportion to the open descriptors, some 0.1 µs each.
ProcessUse ReadProcessUse();

}  // namespace oasync
