// HttpResponseReader: one HTTP/1.1 answer out of the bytes of a connection. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace oasync::terminal {

struct HttpResponse {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;

  // The header's value; null when it is not there.
  const std::string* Header(std::string_view name) const;
};

class HttpResponseReader {
 public:
  enum class State : uint8_t { kMore, kDone, kBad, kTooLarge };

  explicit HttpResponseReader(size_t max_body_bytes) : max_body_(max_body_bytes) {}

  // Takes what has come. After kDone the response is whole; what follows it is ignored.
  State Feed(std::string_view data);
  // The connection ended: kDone if the answer may end there.
  State End();
  HttpResponse& response() { return response_; }

 private:
  enum class Body : uint8_t { kNone, kLength, kChunked, kUntilEnd };

  State ParseHead(std::string_view head);
  bool ParseHeader(std::string_view line);
  State TakeBody();
  State TakeChunks();

  const size_t max_body_;
  std::string pending_;
  bool has_head_ = false;
  Body body_ = Body::kUntilEnd;
  uint64_t left_ = 0;  // of the body, or of the chunk
  bool in_chunk_ = false;
  bool in_trailers_ = false;
  HttpResponse response_;
};

}  // namespace oasync::terminal
