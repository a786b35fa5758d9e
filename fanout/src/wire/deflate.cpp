#include "wire/deflate.h"

#include <zlib.h>

#include <algorithm>
#include <array>

namespace oasync {
namespace {

constexpr int kRawWindow = -15;  // negative: without zlib's header and checksum
constexpr int kMemory = 8;
// What a flush ends with, and every message leaves out (RFC 7692, 7.2.1).
constexpr std::string_view kTail("\0\0\xff\xff", 4);
constexpr std::string_view kName = "permessage-deflate";
constexpr size_t kStep = 16384;
constexpr int kAtBlockEnd = 128;  // in z_stream::data_type

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Takes what stands before the separator off the front of the list.
std::string_view Next(std::string_view* list, char separator) {
  const size_t end = list->find(separator);
  const std::string_view element = Trim(list->substr(0, end));
  list->remove_prefix(end == std::string_view::npos ? list->size() : end + 1);
  return element;
}

bool IsParameterAcceptable(std::string_view parameter) {
  std::string_view rest = parameter;
  const std::string_view name = Next(&rest, '=');
  const std::string_view value = Trim(rest);
  if (name == "server_no_context_takeover" || name == "client_no_context_takeover") return value.empty();
  if (name == "client_max_window_bits") return true;  // we inflate any window
  return name == "server_max_window_bits" && (value == "15" || value == "\"15\"");
}

Bytef* Bytes(std::string_view text) {  // zlib reads only
  return reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
}

}  // namespace

bool IsDeflateOfferAcceptable(std::string_view extensions) {
  bool acceptable = false;
  size_t offers = 0;
  bool first_is_bare = false;
  while (!extensions.empty()) {
    std::string_view offer = Next(&extensions, ',');
    if (Next(&offer, ';') != kName) continue;  // as libwebsockets compares
    if (++offers > 1) continue;
    first_is_bare = Trim(offer).empty();
    acceptable = true;
    while (!offer.empty()) acceptable = IsParameterAcceptable(Next(&offer, ';')) && acceptable;
  }
  // libwebsockets goes on looking behind an offer without parameters, and refuses who asks twice.
  return acceptable && (offers == 1 || !first_is_bare);
}

struct Deflater::Stream {
  z_stream z{};
  bool is_set_up = false;
  ~Stream() {
    if (is_set_up) deflateEnd(&z);
  }
};

Deflater::Deflater(int level) : level_(level) {}
Deflater::~Deflater() = default;

FrameRef Deflater::Compress(const Frame& frame) {
  if (!stream_) {
    stream_ = std::make_unique<Stream>();
    stream_->is_set_up = deflateInit2(&stream_->z, level_, Z_DEFLATED, kRawWindow, kMemory, Z_DEFAULT_STRATEGY) == Z_OK;
  }
  z_stream& z = stream_->z;
  if (!stream_->is_set_up || deflateReset(&z) != Z_OK) return nullptr;
  const std::string_view plain = frame.view();
  // Room for what is smaller; a flush ends with the tail, which goes again.
  auto compressed = std::make_shared<Frame>(frame.binary(), plain.size());
  std::string* body = compressed->body();
  const size_t begin = body->size();
  body->resize(begin + plain.size() + kTail.size());
  z.next_in = Bytes(plain);
  z.avail_in = static_cast<uInt>(plain.size());
  z.next_out = reinterpret_cast<Bytef*>(body->data() + begin);
  z.avail_out = static_cast<uInt>(plain.size() + kTail.size());
  if (deflate(&z, Z_SYNC_FLUSH) != Z_OK || z.avail_in != 0 || z.avail_out == 0) return nullptr;
  const size_t size = z.total_out - kTail.size();
  if (size >= plain.size()) return nullptr;
  body->resize(begin + size);
  // Shared by many and kept for a while: without the room that was not needed.
  body->shrink_to_fit();
  compressed->plain_bytes = frame.size();
  compressed->updates = frame.updates;
  compressed->oldest_commit_us = frame.oldest_commit_us;
  compressed->through_watermark = frame.through_watermark;
  compressed->Seal(/*compressed=*/true);
  return compressed;
}

struct Inflater::Stream {
  z_stream z{};
  bool is_set_up = false;
  ~Stream() {
    if (is_set_up) inflateEnd(&z);
  }
};

Inflater::Inflater() = default;
Inflater::~Inflater() = default;

Inflater::Outcome Inflater::Inflate(std::string_view message, size_t limit, std::string* out) {
  out->clear();
  if (!stream_) {
    stream_ = std::make_unique<Stream>();
    stream_->is_set_up = inflateInit2(&stream_->z, kRawWindow) == Z_OK;
  }
  z_stream& z = stream_->z;
  if (!stream_->is_set_up || inflateReset(&z) != Z_OK) return Outcome::kMalformed;
  for (const std::string_view part : std::array{message, kTail}) {
    z.next_in = Bytes(part);
    z.avail_in = static_cast<uInt>(part.size());
    int state = Z_OK;
    do {
      const size_t have = out->size();
      if (have > limit) return Outcome::kTooBig;
      const size_t room = std::min(kStep, limit - have + 1);
      out->resize(have + room);
      z.next_out = reinterpret_cast<Bytef*>(out->data() + have);
      z.avail_out = static_cast<uInt>(room);
      state = inflate(&z, Z_SYNC_FLUSH);
      out->resize(have + room - z.avail_out);
      // A block that says that it is the last one may have others behind it (RFC 7692, 7.2.3.4).
      if (state == Z_STREAM_END) state = inflateReset(&z);
      if (state != Z_OK && state != Z_BUF_ERROR) return Outcome::kMalformed;
    } while (state == Z_OK && (z.avail_in > 0 || z.avail_out == 0));
    if (z.avail_in > 0) return Outcome::kMalformed;
  }
  if (out->size() > limit) return Outcome::kTooBig;
  return (z.data_type & kAtBlockEnd) != 0 ? Outcome::kOk : Outcome::kMalformed;  // cut off otherwise
}

}  // namespace oasync
