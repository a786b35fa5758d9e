#include "net/http_content.h"

#include <openssl/sha.h>
#include <strings.h>
#include <zlib.h>

#include <array>
#include <cstdlib>

namespace oasync {
namespace {

constexpr int kGzipWindow = 15 + 16;  // 16 asks zlib for gzip's header
constexpr int kMemory = 8;

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Takes the next element of a comma-separated list off its front.
std::string_view NextOf(std::string_view* list) {
  const size_t comma = list->find(',');
  const std::string_view element = Trim(list->substr(0, comma));
  list->remove_prefix(comma == std::string_view::npos ? list->size() : comma + 1);
  return element;
}

bool EqualsNoCase(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

// Of "gzip;q=0.5": 0.5. 1 when there is none, 0 when it is not a number.
double WeightOf(std::string_view parameters) {
  const size_t q = parameters.find("q=");
  if (q == std::string_view::npos) return 1;
  return std::strtod(std::string(parameters.substr(q + 2)).c_str(), nullptr);
}

}  // namespace

std::string CompressedTag(std::string_view etag) { return std::string(etag.substr(0, etag.size() - 1)) + "-gz\""; }

std::string StrongETag(std::string_view body) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(body.data()), body.size(), digest.data());
  static constexpr char kHex[] = "0123456789abcdef";
  std::string tag = "\"";
  for (const unsigned char byte : digest) {
    tag.push_back(kHex[byte >> 4]);
    tag.push_back(kHex[byte & 15]);
  }
  return tag + '"';
}

bool ETagMatches(std::string_view if_none_match, std::string_view etag) {
  const std::string compressed = CompressedTag(etag);
  while (!if_none_match.empty()) {
    std::string_view tag = NextOf(&if_none_match);
    // If-None-Match compares weakly: proxies that recompress make weak tags of strong ones.
    if (tag.substr(0, 2) == "W/") tag.remove_prefix(2);
    if (tag == "*" || tag == etag || tag == compressed) return true;
  }
  return false;
}

bool AcceptsGzip(std::string_view accept_encoding) {
  bool any = false;
  while (!accept_encoding.empty()) {
    const std::string_view element = NextOf(&accept_encoding);
    const size_t semicolon = element.find(';');
    const std::string_view name = Trim(element.substr(0, semicolon));
    const bool wanted = semicolon == std::string_view::npos || WeightOf(element.substr(semicolon + 1)) > 0;
    if (EqualsNoCase(name, "gzip")) return wanted;
    if (name == "*") any = wanted;
  }
  return any;
}

std::optional<std::string> Gzip(std::string_view bytes, int level) {
  z_stream stream{};
  if (deflateInit2(&stream, level, Z_DEFLATED, kGzipWindow, kMemory, Z_DEFAULT_STRATEGY) != Z_OK) return std::nullopt;
  std::string compressed(bytes.size(), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(compressed.data());
  stream.avail_out = static_cast<uInt>(compressed.size());
  const int result = deflate(&stream, Z_FINISH);
  compressed.resize(stream.total_out);
  deflateEnd(&stream);
  if (result != Z_STREAM_END) return std::nullopt;  // there was no room: it does not get smaller
  return compressed;
}

void FinishContent(std::string_view if_none_match, std::string_view accept_encoding, size_t gzip_min_bytes,
                   HttpAnswer* answer) {
  if (answer->status != 200) return;
  const std::string etag = StrongETag(answer->body);
  // The client may keep it but has to ask whether it is current; nobody else may keep it at all.
  answer->AddHeader("cache-control", "private, no-cache");
  if (ETagMatches(if_none_match, etag)) {
    answer->status = 304;
    answer->body.clear();
    answer->AddHeader("etag", etag);
    return;
  }
  if (answer->body.size() >= gzip_min_bytes && AcceptsGzip(accept_encoding)) {
    if (auto compressed = Gzip(answer->body)) {
      answer->body = std::move(*compressed);
      answer->AddHeader("content-encoding", "gzip");
      answer->AddHeader("etag", CompressedTag(etag));
      return;
    }
  }
  answer->AddHeader("etag", etag);
}

}  // namespace oasync
