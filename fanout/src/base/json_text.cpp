#include "base/json_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>

namespace oasync {
namespace {

// Writes a number with leading zeros and what separates it from the next; returns the place behind.
char* Digits(char* at, int count, int value, char separator) {
  for (int i = count - 1; i >= 0; --i, value /= 10) at[i] = static_cast<char>('0' + value % 10);
  at[count] = separator;
  return at + count + 1;
}

}  // namespace

void AppendJsonString(std::string* out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  out->push_back('"');
  size_t plain = 0;  // start of the run that needs no escape
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<uint8_t>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out->append(text, plain, i - plain);
    plain = i + 1;
    switch (c) {
      case '"':
        out->append("\\\"");
        break;
      case '\\':
        out->append("\\\\");
        break;
      case '\n':
        out->append("\\n");
        break;
      case '\r':
        out->append("\\r");
        break;
      case '\t':
        out->append("\\t");
        break;
      default:
        out->append("\\u00");
        out->push_back(kHex[c >> 4]);
        out->push_back(kHex[c & 15]);
    }
  }
  out->append(text, plain, text.size() - plain);
  out->push_back('"');
}

void AppendWatermark(std::string* out, uint64_t watermark) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof(digits), watermark).ptr;
  const bool quoted = watermark > kMaxJsonInteger;
  if (quoted) out->push_back('"');
  out->append(digits, static_cast<size_t>(end - digits));
  if (quoted) out->push_back('"');
}

void AppendTimestamp(std::string* out, int64_t unix_us) {
  // RFC 3339 has four digits for the year.
  constexpr int64_t kYear0 = -62'167'219'200'000'000;
  constexpr int64_t kYear9999 = 253'402'300'799'999'999;
  unix_us = std::clamp(unix_us, kYear0, kYear9999);
  int64_t seconds = unix_us / 1000000;
  int64_t micros = unix_us % 1000000;
  if (micros < 0) {
    micros += 1000000;
    --seconds;
  }
  const std::time_t when = seconds;
  std::tm utc{};
  gmtime_r(&when, &utc);
  // "2026-01-02T03:04:05.000006Z": not by snprintf, which costs as much as the rest of an update's text.
  std::array<char, 29> text;
  char* p = text.data();
  *p++ = '"';
  p = Digits(p, 4, utc.tm_year + 1900, '-');
  p = Digits(p, 2, utc.tm_mon + 1, '-');
  p = Digits(p, 2, utc.tm_mday, 'T');
  p = Digits(p, 2, utc.tm_hour, ':');
  p = Digits(p, 2, utc.tm_min, ':');
  p = Digits(p, 2, utc.tm_sec, '.');
  p = Digits(p, 6, static_cast<int>(micros), 'Z');
  *p = '"';
  out->append(text.data(), text.size());
}

}  // namespace oasync
