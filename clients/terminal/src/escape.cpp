#include "escape.h"

#include <array>
#include <cstdint>
#include <cstdio>

#include "base/utf8.h"

namespace oasync::terminal {
namespace {

// The character that `text` begins with. REQUIRES: `size` bytes of well-formed UTF-8.
uint32_t Decode(std::string_view text, size_t size) {
  const auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(text[i])); };
  switch (size) {
    case 1:
      return byte(0);
    case 2:
      return (byte(0) & 0x1F) << 6 | (byte(1) & 0x3F);
    case 3:
      return (byte(0) & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
    default:
      return (byte(0) & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F);
  }
}

// How many bytes the first byte of a character announces; 0 when none begins with it.
size_t Announced(unsigned char first) {
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first < 0xE0) return 2;
  if (first >= 0xE0 && first < 0xF0) return 3;
  if (first >= 0xF0 && first < 0xF5) return 4;
  return 0;
}

bool IsDangerous(uint32_t c) {
  if (c < 0x20 || (c >= 0x7F && c <= 0x9F)) return true;       // C0, DEL, C1
  if (c == 0x061C || c == 0x200E || c == 0x200F) return true;  // marks of direction
  if (c >= 0x2028 && c <= 0x202E) return true;                 // separators, embeddings, overrides
  return (c >= 0x2066 && c <= 0x2069) || c == 0xFEFF;          // isolates, byte order mark
}

}  // namespace

std::string EscapeForTerminal(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  std::array<char, 8> escape;
  while (!text.empty()) {
    const auto first = static_cast<unsigned char>(text.front());
    if (first >= 0x20 && first < 0x7F) {
      out.push_back(text.front());
      text.remove_prefix(1);
      continue;
    }
    const size_t size = Announced(first);
    if (size == 0 || size > text.size() || !IsValidUtf8(text.substr(0, size))) {
      snprintf(escape.data(), escape.size(), "\\x%02x", first);
      out += escape.data();
      text.remove_prefix(1);
      continue;
    }
    const uint32_t c = Decode(text, size);
    if (IsDangerous(c)) {
      snprintf(escape.data(), escape.size(), "\\u%04x", c & 0xFFFF);
      out += escape.data();
    } else {
      out += text.substr(0, size);
    }
    text.remove_prefix(size);
  }
  return out;
}

}  // namespace oasync::terminal
