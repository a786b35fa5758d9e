#include "since.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <string_view>

namespace oasync::terminal {
namespace {

constexpr int64_t kMaxDurationMs = int64_t{100} * 366 * 86400 * 1000;

// Seconds of "Z", "+02:00" or nothing (UTC); nothing for any other text.
std::optional<int64_t> ParseOffset(std::string_view text) {
  if (text.empty() || text == "Z" || text == "z") return 0;
  if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':') return std::nullopt;
  int64_t hours = 0;
  int64_t minutes = 0;
  const auto first = std::from_chars(text.data() + 1, text.data() + 3, hours);
  const auto second = std::from_chars(text.data() + 4, text.data() + 6, minutes);
  if (first.ptr != text.data() + 3 || second.ptr != text.data() + 6 || hours > 23 || minutes > 59) return std::nullopt;
  const int64_t offset = hours * 3600 + minutes * 60;
  return text[0] == '-' ? -offset : offset;
}

std::optional<int64_t> ParseTimeUs(const std::string& text) {
  tm when{};
  const char* rest = strptime(text.c_str(), "%Y-%m-%d", &when);
  if (rest == nullptr) return std::nullopt;
  int64_t fraction_us = 0;
  if (*rest == 'T' || *rest == ' ') {
    rest = strptime(rest + 1, "%H:%M:%S", &when);
    if (rest == nullptr) return std::nullopt;
    if (*rest == '.') {
      int64_t unit = 100000;
      for (++rest; *rest >= '0' && *rest <= '9'; ++rest, unit /= 10) fraction_us += (*rest - '0') * unit;
    }
  }
  const auto offset = ParseOffset(rest);
  if (!offset) return std::nullopt;
  return (int64_t{timegm(&when)} - *offset) * 1000000 + fraction_us;
}

}  // namespace

std::optional<int64_t> ParseDurationMs(const std::string& text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  const std::string_view unit(end, static_cast<size_t>(text.data() + text.size() - end));
  if (error != std::errc() || !(number >= 0)) return std::nullopt;
  double factor = 0;
  if (unit == "ms") factor = 1;
  if (unit == "s") factor = 1000;
  if (unit == "m") factor = 60000;
  if (unit == "h") factor = 3600000;
  if (unit == "d") factor = 86400000;
  if (factor == 0 || number * factor > static_cast<double>(kMaxDurationMs)) return std::nullopt;
  return static_cast<int64_t>(std::llround(number * factor));
}

std::optional<Since> ParseSince(const std::string& text, int64_t now_us) {
  if (text == "now") return Since{Since::Kind::kNow, 0, 0};
  if (text == "beginning") return Since{Since::Kind::kBeginning, 0, 0};
  uint64_t watermark = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), watermark);
  if (error == std::errc() && end == text.data() + text.size()) return Since{Since::Kind::kWatermark, watermark, 0};
  if (const auto age = ParseDurationMs(text)) return Since{Since::Kind::kTime, 0, now_us - *age * 1000};
  if (const auto time = ParseTimeUs(text)) return Since{Since::Kind::kTime, 0, *time};
  return std::nullopt;
}

}  // namespace oasync::terminal
