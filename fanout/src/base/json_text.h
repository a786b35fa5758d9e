// Pieces of JSON text appended to a string, for messages that are written too often to build a tree first.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace oasync {

// `text` as a JSON string with its quotes. REQUIRES: valid UTF-8.
void AppendJsonString(std::string* out, std::string_view text);

// A watermark: a number, or a decimal string above 2^53, where JavaScript numbers lose precision.
void AppendWatermark(std::string* out, uint64_t watermark);

// Unix microseconds as "2026-11-22T19:52:36.123456Z" with its quotes. Times outside the years 0000 to 9999 are moved to
// the nearest end.
void AppendTimestamp(std::string* out, int64_t unix_us);

// Largest integer that every JSON reader keeps exactly.
inline constexpr uint64_t kMaxJsonInteger = uint64_t{1} << 53;

}  // namespace oasync
