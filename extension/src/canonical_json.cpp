#include "canonical_json.h"

#include <algorithm>

namespace oasync {
namespace {

constexpr char kHex[] = "0123456789abcdef";

// Per byte: 0 literal, 'u' as \u00xx, else the letter after the backslash.
struct EscapeTable {
  char of[256] = {};
  constexpr EscapeTable() {
    for (int c = 0; c < 0x20; ++c) of[c] = 'u';
    of[static_cast<int>('\b')] = 'b';
    of[static_cast<int>('\t')] = 't';
    of[static_cast<int>('\n')] = 'n';
    of[static_cast<int>('\f')] = 'f';
    of[static_cast<int>('\r')] = 'r';
    of[static_cast<int>('"')] = '"';
    of[static_cast<int>('\\')] = '\\';
  }
};
constexpr EscapeTable kEscape;

void AppendEscapedByte(Bytes& out, unsigned char c) {
  const char e = kEscape.of[c];
  out.Append('\\');
  out.Append(e);
  if (e != 'u') return;
  const char digits[4] = {'0', '0', kHex[c >> 4], kHex[c & 15]};
  out.Append(digits, 4);
}

size_t EncodeUtf8(uint32_t cp, char* to) {
  if (cp < 0x80) {
    to[0] = static_cast<char>(cp);
    return 1;
  }
  if (cp < 0x800) {
    to[0] = static_cast<char>(0xC0 | (cp >> 6));
    to[1] = static_cast<char>(0x80 | (cp & 0x3F));
    return 2;
  }
  if (cp < 0x10000) {
    to[0] = static_cast<char>(0xE0 | (cp >> 12));
    to[1] = static_cast<char>(0x80 | ((cp >> 6) & 0x3F));
    to[2] = static_cast<char>(0x80 | (cp & 0x3F));
    return 3;
  }
  to[0] = static_cast<char>(0xF0 | (cp >> 18));
  to[1] = static_cast<char>(0x80 | ((cp >> 12) & 0x3F));
  to[2] = static_cast<char>(0x80 | ((cp >> 6) & 0x3F));
  to[3] = static_cast<char>(0x80 | (cp & 0x3F));
  return 4;
}

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Reads four hexadecimal digits at p; -1 when they are not.
int32_t ReadHex4(const char* p, const char* end) {
  if (end - p < 4) return -1;
  int32_t value = 0;
  for (int i = 0; i < 4; ++i) {
    const int digit = HexValue(p[i]);
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

bool IsSurrogate(int32_t unit) { return unit >= 0xD800 && unit <= 0xDFFF; }

// Yields the UTF-8 bytes that a canonical string stands for, one at a time.
class KeyReader {
 public:
  explicit KeyReader(std::string_view quoted) : p_(quoted.data() + 1), end_(quoted.data() + quoted.size() - 1) {}

  // The next byte, or -1 at the end.
  int Next() {
    if (next_ < held_) return static_cast<unsigned char>(hold_[next_++]);
    if (p_ == end_) return -1;
    if (*p_ != '\\') return static_cast<unsigned char>(*p_++);
    const char letter = p_[1];
    p_ += 2;
    switch (letter) {
      case 'b':
        return '\b';
      case 't':
        return '\t';
      case 'n':
        return '\n';
      case 'f':
        return '\f';
      case 'r':
        return '\r';
      case 'u':
        break;
      default:
        return letter;
    }
    held_ = EncodeUtf8(static_cast<uint32_t>(ReadHex4(p_, end_)), hold_);
    p_ += 4;
    next_ = 1;
    return static_cast<unsigned char>(hold_[0]);
  }

 private:
  const char* p_;
  const char* end_;
  char hold_[4] = {};
  size_t held_ = 0;
  size_t next_ = 0;
};

// Members collected so far, of all open objects: the innermost object's are the last ones.
struct MemberStack {
  JsonMember* members = nullptr;
  size_t count = 0;
  size_t cap = 0;

  void Push(const JsonMember& member) {
    if (count == cap) {
      cap = cap == 0 ? 32 : cap * 2;
      members = static_cast<JsonMember*>(Reallocate(members, cap * sizeof(JsonMember)));
    }
    members[count++] = member;
  }
};

class Canonicalizer {
 public:
  Canonicalizer(Bytes& out, std::string_view text) : out_(out), p_(text.data()), end_(text.data() + text.size()) {}

  JsonStatus Run() {
    const size_t start = out_.len;
    JsonStatus status = Value(0);
    if (status == JsonStatus::kOk) {
      SkipSpace();
      if (p_ != end_) status = JsonStatus::kInvalid;
    }
    if (status != JsonStatus::kOk) out_.len = start;
    if (stack_.members != nullptr) Release(stack_.members);
    scratch_.Free();
    return status;
  }

 private:
  void SkipSpace() {
    while (p_ != end_ && (*p_ == ' ' || *p_ == '\n' || *p_ == '\t' || *p_ == '\r')) ++p_;
  }

  JsonStatus Value(int depth) {
    if (depth > kMaxJsonDepth) return JsonStatus::kTooDeep;
    SkipSpace();
    if (p_ == end_) return JsonStatus::kInvalid;
    switch (*p_) {
      case '{':
        return Object(depth);
      case '[':
        return Array(depth);
      case '"':
        return String();
      case 't':
        return Word("true");
      case 'f':
        return Word("false");
      case 'n':
        return Word("null");
      default:
        return Number();
    }
  }

  JsonStatus Word(std::string_view word) {
    if (!std::string_view(p_, static_cast<size_t>(end_ - p_)).starts_with(word)) return JsonStatus::kInvalid;
    out_.Append(word);
    p_ += word.size();
    return JsonStatus::kOk;
  }

  bool Digits() {
    const char* start = p_;
    while (p_ != end_ && *p_ >= '0' && *p_ <= '9') ++p_;
    return p_ != start;
  }

  JsonStatus Number() {
    const char* start = p_;
    if (p_ != end_ && *p_ == '-') ++p_;
    if (p_ != end_ && *p_ == '0') {
      ++p_;
    } else if (!Digits()) {
      return JsonStatus::kInvalid;
    }
    if (p_ != end_ && *p_ == '.') {
      ++p_;
      if (!Digits()) return JsonStatus::kInvalid;
    }
    if (p_ != end_ && (*p_ == 'e' || *p_ == 'E')) {
      ++p_;
      if (p_ != end_ && (*p_ == '+' || *p_ == '-')) ++p_;
      if (!Digits()) return JsonStatus::kInvalid;
    }
    out_.Append(start, static_cast<size_t>(p_ - start));
    return JsonStatus::kOk;
  }

  JsonStatus Escape() {
    if (p_ == end_) return JsonStatus::kInvalid;
    switch (*p_++) {
      case '"':
        AppendEscapedByte(out_, '"');
        return JsonStatus::kOk;
      case '\\':
        AppendEscapedByte(out_, '\\');
        return JsonStatus::kOk;
      case '/':
        out_.Append('/');
        return JsonStatus::kOk;
      case 'b':
        AppendEscapedByte(out_, '\b');
        return JsonStatus::kOk;
      case 't':
        AppendEscapedByte(out_, '\t');
        return JsonStatus::kOk;
      case 'n':
        AppendEscapedByte(out_, '\n');
        return JsonStatus::kOk;
      case 'f':
        AppendEscapedByte(out_, '\f');
        return JsonStatus::kOk;
      case 'r':
        AppendEscapedByte(out_, '\r');
        return JsonStatus::kOk;
      case 'u':
        break;
      default:
        return JsonStatus::kInvalid;
    }
    const int32_t unit = ReadHex4(p_, end_);
    if (unit < 0) return JsonStatus::kInvalid;
    p_ += 4;
    uint32_t cp = static_cast<uint32_t>(unit);
    if (unit >= 0xD800 && unit <= 0xDBFF && end_ - p_ >= 6 && p_[0] == '\\' && p_[1] == 'u') {
      const int32_t low = ReadHex4(p_ + 2, end_);
      if (low >= 0xDC00 && low <= 0xDFFF) {
        cp = 0x10000 + ((cp - 0xD800) << 10) + (static_cast<uint32_t>(low) - 0xDC00);
        p_ += 6;
      }
    }
    if (cp < 0x80 && kEscape.of[cp] != 0) {
      AppendEscapedByte(out_, static_cast<unsigned char>(cp));
    } else if (IsSurrogate(static_cast<int32_t>(cp))) {
      const char text[6] = {'\\', 'u', kHex[cp >> 12], kHex[(cp >> 8) & 15], kHex[(cp >> 4) & 15], kHex[cp & 15]};
      out_.Append(text, 6);
    } else {
      char utf8[4];
      out_.Append(utf8, EncodeUtf8(cp, utf8));
    }
    return JsonStatus::kOk;
  }

  JsonStatus String() {
    ++p_;
    out_.Append('"');
    for (;;) {
      const char* run = p_;
      while (p_ != end_ && *p_ != '"' && *p_ != '\\') {
        if (static_cast<unsigned char>(*p_) < 0x20) return JsonStatus::kInvalid;
        ++p_;
      }
      out_.Append(run, static_cast<size_t>(p_ - run));
      if (p_ == end_) return JsonStatus::kInvalid;
      if (*p_++ == '"') break;
      if (const JsonStatus status = Escape(); status != JsonStatus::kOk) return status;
    }
    out_.Append('"');
    return JsonStatus::kOk;
  }

  JsonStatus Array(int depth) {
    ++p_;
    out_.Append('[');
    SkipSpace();
    if (p_ != end_ && *p_ == ']') {
      ++p_;
      out_.Append(']');
      return JsonStatus::kOk;
    }
    for (;;) {
      if (const JsonStatus status = Value(depth + 1); status != JsonStatus::kOk) return status;
      SkipSpace();
      if (p_ == end_) return JsonStatus::kInvalid;
      const char c = *p_++;
      if (c != ',' && c != ']') return JsonStatus::kInvalid;
      out_.Append(c);
      if (c == ']') return JsonStatus::kOk;
    }
  }

  JsonStatus Object(int depth) {
    ++p_;
    out_.Append('{');
    const size_t body = out_.len;
    const size_t base = stack_.count;
    SkipSpace();
    if (p_ != end_ && *p_ == '}') {
      ++p_;
      out_.Append('}');
      return JsonStatus::kOk;
    }
    for (;;) {
      SkipSpace();
      if (p_ == end_ || *p_ != '"') return JsonStatus::kInvalid;
      JsonMember member{out_.len, 0, 0};
      if (const JsonStatus status = String(); status != JsonStatus::kOk) return status;
      member.key_len = static_cast<uint32_t>(out_.len - member.offset);
      SkipSpace();
      if (p_ == end_ || *p_++ != ':') return JsonStatus::kInvalid;
      out_.Append(':');
      if (const JsonStatus status = Value(depth + 1); status != JsonStatus::kOk) return status;
      member.len = out_.len - member.offset;
      stack_.Push(member);
      SkipSpace();
      if (p_ == end_) return JsonStatus::kInvalid;
      const char c = *p_++;
      if (c == '}') break;
      if (c != ',') return JsonStatus::kInvalid;
      out_.Append(',');
    }
    Order(body, base);
    stack_.count = base;
    out_.Append('}');
    return JsonStatus::kOk;
  }

  // Puts the members appended since `body` (stack entries from `base`) in order.
  void Order(size_t body, size_t base) {
    JsonMember* first = stack_.members + base;
    const size_t n = stack_.count - base;
    const char* data = out_.data;
    const auto key = [data](const JsonMember& m) { return std::string_view(data + m.offset, m.key_len); };
    const auto before = [&key](const JsonMember& a, const JsonMember& b) {
      const int order = CompareCanonicalKeys(key(a), key(b));
      return order != 0 ? order < 0 : a.offset < b.offset;
    };
    bool ordered = true;
    for (size_t i = 1; i < n && ordered; ++i) ordered = CompareCanonicalKeys(key(first[i - 1]), key(first[i])) < 0;
    if (ordered) return;
    std::sort(first, first + n, before);
    scratch_.Clear();
    for (size_t i = 0; i < n; ++i) {
      // Of equal keys the last one wins, as in jsonb.
      if (i + 1 < n && CompareCanonicalKeys(key(first[i]), key(first[i + 1])) == 0) continue;
      if (scratch_.len != 0) scratch_.Append(',');
      scratch_.Append(data + first[i].offset, first[i].len);
    }
    memcpy(out_.data + body, scratch_.data, scratch_.len);
    out_.len = body + scratch_.len;
  }

  Bytes& out_;
  const char* p_;
  const char* end_;
  MemberStack stack_;
  Bytes scratch_;
};

}  // namespace

void AppendJsonString(Bytes& out, std::string_view text) {
  out.Reserve(text.size() + 2);
  out.Append('"');
  const char* p = text.data();
  const char* end = p + text.size();
  for (;;) {
    const char* run = p;
    while (p != end && kEscape.of[static_cast<unsigned char>(*p)] == 0) ++p;
    out.Append(run, static_cast<size_t>(p - run));
    if (p == end) break;
    AppendEscapedByte(out, static_cast<unsigned char>(*p++));
  }
  out.Append('"');
}

JsonStatus AppendCanonicalJson(Bytes& out, std::string_view text) { return Canonicalizer(out, text).Run(); }

int CompareCanonicalKeys(std::string_view a, std::string_view b) {
  KeyReader left(a);
  KeyReader right(b);
  for (;;) {
    const int x = left.Next();
    const int y = right.Next();
    if (x != y) return x < y ? -1 : 1;
    if (x < 0) return 0;
  }
}

}  // namespace oasync
