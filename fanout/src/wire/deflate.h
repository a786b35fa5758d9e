// permessage-deflate (RFC 7692) without context takeover: every message is compressed by itself.
//
// So the compressed bytes of a frame are the same for every client, as the plain ones are: they are made once and
// shared, and no connection keeps a window of zlib's. What that costs is some of the compression of small messages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "wire/frame.h"

namespace oasync {

struct DeflateOptions {
  bool offered = false;     // to clients that ask for it
  int level = 1;            // zlib's, 1 to 9
  size_t min_bytes = 1024;  // smaller batches are sent as they are
};

// Whether a Sec-WebSocket-Extensions header asks for permessage-deflate in a way that we can serve. libwebsockets takes
// the first offer of it, so only that one counts. We always answer with server_no_context_takeover and
// client_no_context_takeover, which RFC 7692 (7.1.1) lets a server do whatever was offered. A window that is
// smaller than zlib's for our side, and anything unknown, is declined.
bool IsDeflateOfferAcceptable(std::string_view extensions);

// Compresses frames. One thread; 256 kB from the first frame on.
class Deflater {
 public:
  explicit Deflater(int level);
  ~Deflater();
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;

  // The sealed compressed form of a sealed frame, with what the frame says of itself; null when it is no smaller.
  FrameRef Compress(const Frame& frame);

 private:
  struct Stream;
  const int level_;
  std::unique_ptr<Stream> stream_;
};

// Inflates what clients sent. One thread; some 40 kB from the first message on.
class Inflater {
 public:
  enum class Outcome : uint8_t { kOk, kTooBig, kMalformed };

  Inflater();
  ~Inflater();
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // One whole message; *out is replaced. No more than `limit` bytes come out, and little more memory is used for it.
  Outcome Inflate(std::string_view message, size_t limit, std::string* out);

 private:
  struct Stream;
  std::unique_ptr<Stream> stream_;
};

}  // namespace oasync
