// Since: where `tail` begins on a topic that the cursor file does not know. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace oasync::terminal {

struct Since {
  enum class Kind : uint8_t {
    kNow,        // behind the head
    kBeginning,  // from the floor: everything retained
    kWatermark,  // behind this one
    kTime,       // events appended from then on: everything retained is replayed, and what is older not shown
  };
  Kind kind = Kind::kNow;
  uint64_t watermark = 0;
  int64_t time_us = 0;  // Unix microseconds
};

// "now", "beginning", a watermark ("41"), an age ("90s", "10m", "2h", "7d") or a time
// ("2026-11-23T05:46:04Z", also with a fraction, an offset, or only a date). Nothing for any other text.
std::optional<Since> ParseSince(const std::string& text, int64_t now_us);

// "1.5s", "10m", "2h", "7d", "250ms" in milliseconds; nothing for any other text.
std::optional<int64_t> ParseDurationMs(const std::string& text);

}  // namespace oasync::terminal
