#include "snapshot_token.h"

#include "text_template.h"

namespace oasync {
namespace {

constexpr char kVersion = 1;
constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

int Sextet(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '-' ? 62 : c == '_' ? 63 : -1;
}

uint32_t Checksum(std::string_view bytes) {  // FNV-1a
  uint32_t sum = 2166136261u;
  for (const char c : bytes) sum = (sum ^ static_cast<unsigned char>(c)) * 16777619u;
  return sum;
}

void AppendNumber(Bytes& out, uint64_t value) {
  while (value >= 0x80) {
    out.Append(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.Append(static_cast<char>(value));
}

void AppendText(Bytes& out, std::string_view text) {
  AppendNumber(out, text.size());
  out.Append(text);
}

struct Reader {
  std::string_view rest;
  bool ok = true;

  unsigned char Byte() {
    if (rest.empty()) {
      ok = false;
      return 0;
    }
    const auto c = static_cast<unsigned char>(rest.front());
    rest.remove_prefix(1);
    return c;
  }
  uint64_t Number() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const unsigned char c = Byte();
      // The last byte of ten has room for one bit; no byte beyond the first may be an empty one.
      if (!ok || (shift == 63 && c > 1) || (shift > 0 && c == 0)) break;
      value |= static_cast<uint64_t>(c & 0x7f) << shift;
      if (c < 0x80) return value;
    }
    ok = false;
    return 0;
  }
  std::string_view Text() {
    const uint64_t size = Number();
    if (!ok || size > rest.size()) {
      ok = false;
      return {};
    }
    const std::string_view text = Part(rest, 0, size);
    rest.remove_prefix(size);
    return text;
  }
};

constexpr char kDamaged[] = "it is damaged";

}  // namespace

void AppendBase64Url(Bytes& out, std::string_view bytes) {
  out.Reserve((bytes.size() * 4 + 2) / 3);
  uint32_t bits = 0;
  int count = 0;
  for (const char c : bytes) {
    bits = (bits << 8) | static_cast<unsigned char>(c);
    for (count += 8; count >= 6; count -= 6) out.Append(kAlphabet[(bits >> (count - 6)) & 63]);
  }
  if (count > 0) out.Append(kAlphabet[(bits << (6 - count)) & 63]);
}

bool DecodeBase64Url(Bytes& out, std::string_view text) {
  if (text.size() % 4 == 1) return false;
  out.Reserve(text.size());
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const int sextet = Sextet(c);
    if (sextet < 0) return false;
    bits = (bits << 6) | static_cast<uint32_t>(sextet);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out.Append(static_cast<char>(bits >> count));
    }
  }
  return (bits & ((1u << count) - 1)) == 0;
}

bool AppendToken(Bytes& out, const SnapshotToken& token) {
  Bytes body;
  AppendText(body, token.topic);
  AppendNumber(body, token.epoch);
  AppendNumber(body, token.watermark);
  body.Append(static_cast<char>(token.source));
  AppendNumber(body, static_cast<uint32_t>(token.publication_id));
  AppendNumber(body, static_cast<uint64_t>(token.published_at));
  body.Append(static_cast<char>(token.by_key ? 1 : 0));
  AppendNumber(body, static_cast<uint64_t>(token.position_count));
  for (int i = 0; i < token.position_count; ++i) AppendText(body, token.position[i]);
  const bool fits = (body.len + 5) * 4 / 3 + 1 <= kMaxTokenBytes;
  if (fits) {
    Bytes whole;
    whole.Append(kVersion);
    const uint32_t sum = Checksum(body.view());
    for (int shift = 0; shift < 32; shift += 8) whole.Append(static_cast<char>(sum >> shift));
    whole.Append(body.view());
    AppendBase64Url(out, whole.view());
    whole.Free();
  }
  body.Free();
  return fits;
}

const char* ParseToken(std::string_view text, Bytes& scratch, SnapshotToken& token) {
  token = SnapshotToken{};
  scratch.Clear();
  if (text.size() > kMaxTokenBytes) return "it is too long";
  if (!DecodeBase64Url(scratch, text)) return kDamaged;
  Reader reader = {scratch.view()};
  const unsigned char version = reader.Byte();
  if (!reader.ok) return kDamaged;
  if (version != kVersion) return "it is of another version";
  uint32_t sum = 0;
  for (int shift = 0; shift < 32; shift += 8) sum |= static_cast<uint32_t>(reader.Byte()) << shift;
  if (!reader.ok || sum != Checksum(reader.rest)) return kDamaged;
  token.topic = reader.Text();
  token.epoch = reader.Number();
  token.watermark = reader.Number();
  const unsigned char source = reader.Byte();
  const uint64_t id = reader.Number();
  token.published_at = static_cast<int64_t>(reader.Number());
  const unsigned char by_key = reader.Byte();
  const uint64_t count = reader.Number();
  if (!reader.ok || !IsValidTopic(token.topic) || source < 1 || source > 3 || id > UINT32_MAX || by_key > 1 ||
      count > kMaxPositionValues || token.epoch > INT64_MAX || token.watermark > INT64_MAX ||
      (by_key == 1 && count > 1)) {
    return kDamaged;
  }
  token.source = static_cast<DocumentSource>(source);
  token.publication_id = static_cast<int32_t>(static_cast<uint32_t>(id));
  token.by_key = by_key == 1;
  for (uint64_t i = 0; i < count; ++i) {
    token.position[i] = reader.Text();
    // Positions become C strings.
    if (token.position[i].find('\0') != std::string_view::npos) return kDamaged;
  }
  token.position_count = static_cast<int>(count);
  return reader.ok && reader.rest.empty() ? nullptr : kDamaged;
}

}  // namespace oasync
