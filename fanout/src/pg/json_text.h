// Pieces of JSON text, appended to a buffer. Hand-written because every event goes through them once.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace oasync::pg {

// Appends `text` (UTF-8) as a JSON string with its quotes; control characters, quote and backslash are escaped.
void AppendJsonString(std::string& out, std::string_view text);

// Appends a JSON number, or a decimal string above 2^53, where a JavaScript number would lose its last bits.
void AppendJsonNumber(std::string& out, uint64_t value);

// Appends standard base64 with padding, without quotes.
void AppendBase64(std::string& out, std::string_view bytes);

// Appends Unix microseconds as RFC 3339 UTC with six digits ("2026-11-22T20:15:01.000042Z"), without quotes.
// Times outside the years 0000 to 9999 are moved to the nearest end.
void AppendRfc3339(std::string& out, int64_t unix_us);

// Whether `text` is valid UTF-8 (no overlong forms, no surrogates, at most U+10FFFF).
bool IsUtf8(std::string_view text);

}  // namespace oasync::pg
