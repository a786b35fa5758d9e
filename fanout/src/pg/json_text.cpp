#include "json_text.h"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace oasync::pg {

namespace {

constexpr char kHex[] = "0123456789abcdef";
constexpr char kBase64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr uint64_t kLargestExactInteger = uint64_t{1} << 53;

constexpr int64_t kMicrosPerSecond = 1'000'000;
constexpr int64_t kMicrosPerDay = 86'400 * kMicrosPerSecond;
constexpr int64_t kFirstMicros = -719'528 * kMicrosPerDay;      // 0000-01-01T00:00:00
constexpr int64_t kLastMicros = 2'932'897 * kMicrosPerDay - 1;  // 9999-12-31T23:59:59.999999

bool NeedsEscape(unsigned char c) { return c < 0x20 || c == '"' || c == '\\'; }

void AppendEscaped(std::string& out, unsigned char c) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\b':
      out += "\\b";
      return;
    case '\f':
      out += "\\f";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      out += "\\u00";
      out += kHex[c >> 4];
      out += kHex[c & 15];
  }
}

// Writes exactly `digits` decimal digits of value at `at`.
void PutDigits(char* at, int digits, uint64_t value) {
  for (int i = digits - 1; i >= 0; --i) {
    at[i] = static_cast<char>('0' + value % 10);
    value /= 10;
  }
}

}  // namespace

void AppendJsonString(std::string& out, std::string_view text) {
  out += '"';
  size_t start = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (!NeedsEscape(c)) continue;
    out.append(text, start, i - start);
    AppendEscaped(out, c);
    start = i + 1;
  }
  out.append(text, start, text.size() - start);
  out += '"';
}

void AppendJsonNumber(std::string& out, uint64_t value) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  const bool exact = value <= kLargestExactInteger;
  if (!exact) out += '"';
  out.append(digits, end);
  if (!exact) out += '"';
}

void AppendBase64(std::string& out, std::string_view bytes) {
  size_t i = 0;
  const auto at = [&](size_t k) { return static_cast<uint32_t>(static_cast<unsigned char>(bytes[k])); };
  for (; i + 3 <= bytes.size(); i += 3) {
    const uint32_t group = at(i) << 16 | at(i + 1) << 8 | at(i + 2);
    const char four[4] = {kBase64[group >> 18], kBase64[group >> 12 & 63], kBase64[group >> 6 & 63],
                          kBase64[group & 63]};
    out.append(four, 4);
  }
  const size_t rest = bytes.size() - i;
  if (rest == 0) return;
  const uint32_t group = at(i) << 16 | (rest == 2 ? at(i + 1) << 8 : 0);
  const char four[4] = {kBase64[group >> 18], kBase64[group >> 12 & 63], rest == 2 ? kBase64[group >> 6 & 63] : '=',
                        '='};
  out.append(four, 4);
}

void AppendRfc3339(std::string& out, int64_t unix_us) {
  const int64_t us = std::clamp(unix_us, kFirstMicros, kLastMicros) - kFirstMicros;  // since 0000-01-01
  const int64_t day = us / kMicrosPerDay;
  const int64_t in_day = us % kMicrosPerDay;
  const int64_t seconds = in_day / kMicrosPerSecond;

  // Gregorian date of a day number, in years that begin on 1 March so that the leap day comes last
  // (H. Hinnant, "chrono-compatible low-level date algorithms"). Day 0 of an era is 1 March of the year 400 k.
  const int64_t shifted = day + 146'097 - 60;  // days since 1 March of the year -400
  const int64_t era = shifted / 146'097;
  const int64_t day_of_era = shifted % 146'097;
  const int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t shifted_month = (5 * day_of_year + 2) / 153;
  const int64_t month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
  const int64_t year = year_of_era + (era - 1) * 400 + (month <= 2 ? 1 : 0);

  char text[27];
  std::memcpy(text, "0000-00-00T00:00:00.000000Z", sizeof text);
  PutDigits(text, 4, static_cast<uint64_t>(year));
  PutDigits(text + 5, 2, static_cast<uint64_t>(month));
  PutDigits(text + 8, 2, static_cast<uint64_t>(day_of_year - (153 * shifted_month + 2) / 5 + 1));
  PutDigits(text + 11, 2, static_cast<uint64_t>(seconds / 3600));
  PutDigits(text + 14, 2, static_cast<uint64_t>(seconds / 60 % 60));
  PutDigits(text + 17, 2, static_cast<uint64_t>(seconds % 60));
  PutDigits(text + 20, 6, static_cast<uint64_t>(in_day % kMicrosPerSecond));
  out.append(text, sizeof text);
}

bool IsUtf8(std::string_view text) {
  const auto* p = reinterpret_cast<const unsigned char*>(text.data());
  const auto* const end = p + text.size();
  while (p < end) {
    // Eight ASCII bytes at a time: nearly all of nearly every payload.
    if (end - p >= 8) {
      uint64_t word;
      std::memcpy(&word, p, sizeof word);
      if ((word & 0x8080808080808080ULL) == 0) {
        p += 8;
        continue;
      }
    }
    const unsigned char lead = *p;
    if (lead < 0x80) {
      ++p;
      continue;
    }
    const int length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || end - p < length) return false;
    for (int i = 1; i < length; ++i) {
      if ((p[i] & 0xC0) != 0x80) return false;
    }
    if (lead == 0xE0 && p[1] < 0xA0) return false;  // overlong
    if (lead == 0xED && p[1] > 0x9F) return false;  // surrogate
    if (lead == 0xF0 && p[1] < 0x90) return false;  // overlong
    if (lead == 0xF4 && p[1] > 0x8F) return false;  // above U+10FFFF
    p += length;
  }
  return true;
}

}  // namespace oasync::pg
