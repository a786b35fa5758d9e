#include "base/utf8.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

namespace oasync {
namespace {

bool IsContinuation(uint8_t byte) { return (byte & 0xC0) == 0x80; }

// Length of the well-formed sequence that starts at p, or 0.
size_t SequenceLength(const uint8_t* p, size_t left) {
  const uint8_t first = p[0];
  if (first < 0x80) return 1;
  if (first < 0xC2) return 0;  // a continuation byte, or an overlong form
  if (first < 0xE0) return left >= 2 && IsContinuation(p[1]) ? 2 : 0;
  if (first < 0xF0) {
    if (left < 3 || !IsContinuation(p[1]) || !IsContinuation(p[2])) return 0;
    if (first == 0xE0 && p[1] < 0xA0) return 0;   // overlong
    if (first == 0xED && p[1] >= 0xA0) return 0;  // surrogates
    return 3;
  }
  if (first > 0xF4) return 0;
  if (left < 4 || !IsContinuation(p[1]) || !IsContinuation(p[2]) || !IsContinuation(p[3])) return 0;
  if (first == 0xF0 && p[1] < 0x90) return 0;   // overlong
  if (first == 0xF4 && p[1] >= 0x90) return 0;  // above U+10FFFF
  return 4;
}

}  // namespace

bool IsValidUtf8(std::string_view text) { return ValidUtf8Prefix(text) == text.size(); }

size_t ValidUtf8Prefix(std::string_view text) {
  const auto* p = reinterpret_cast<const uint8_t*>(text.data());
  size_t left = text.size();
  while (left > 0) {
    // Eight ASCII bytes at a time: most control messages hold nothing else.
    if (left >= 8) {
      uint64_t word;
      std::memcpy(&word, p, sizeof(word));
      if ((word & 0x8080808080808080ull) == 0) {
        p += 8;
        left -= 8;
        continue;
      }
    }
    const size_t length = SequenceLength(p, left);
    if (length == 0) break;
    p += length;
    left -= length;
  }
  return text.size() - left;
}

bool MayBeginCharacter(std::string_view text) {
  if (text.empty()) return true;
  if (text.size() > 3) return false;
  // Two continuation bytes say whether a second byte can be right; any others follow from the first byte.
  for (const char second : {'\x80', '\x90', '\xA0'}) {
    std::string character(text);
    if (character.size() == 1) character.push_back(second);
    for (; character.size() <= 4; character.push_back('\x80')) {
      if (SequenceLength(reinterpret_cast<const uint8_t*>(character.data()), character.size()) == character.size()) {
        return true;
      }
    }
  }
  return false;
}

}  // namespace oasync
