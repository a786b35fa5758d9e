// Frame: the bytes of one WebSocket message, encoded once and sent to any number of sockets of one event loop.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace oasync {

// Filled through body(), then sealed, and fixed from there on. A server's frames are not masked, so header and payload
// are the same bytes for every client: wire(). Where libwebsockets sends the payload itself (TLS, extensions) it writes
// its own header into the bytes before it, so such a frame must not be sent by two threads; one thread may send it as
// often as it likes.
class Frame {
 public:
  // What libwebsockets asks for before the payload (LWS_PRE; asserted where it is sent). Holds the header.
  static constexpr size_t kHeadroom = 16;

  explicit Frame(bool binary, size_t reserve = 256) : binary_(binary) {
    data_.reserve(kHeadroom + reserve);
    data_.assign(kHeadroom, '\0');
  }

  // To append the payload to.
  std::string* body() { return &data_; }
  // Writes the WebSocket header; nothing may be appended after it. `compressed`: the payload is that of a
  // permessage-deflate message.
  void Seal(bool compressed = false);
  // The whole WebSocket frame. REQUIRES: sealed.
  std::string_view wire() const { return std::string_view(data_).substr(kHeadroom - header_size_); }
  unsigned char* payload() { return reinterpret_cast<unsigned char*>(data_.data()) + kHeadroom; }
  size_t size() const { return data_.size() - kHeadroom; }
  bool binary() const { return binary_; }
  bool compressed() const { return compressed_; }
  std::string_view view() const { return std::string_view(data_).substr(kHeadroom); }

  // What building it took, for the turns between sockets: a compressed frame counts as the plain one.
  size_t effort() const { return std::max(size(), plain_bytes); }

  size_t plain_bytes = 0;          // of a compressed frame: before that
  uint32_t updates = 0;            // in an update batch
  int64_t oldest_commit_us = 0;    // of its live events; 0 when there is none
  uint64_t through_watermark = 0;  // where an update batch ends

 private:
  std::string data_;
  bool binary_;
  bool compressed_ = false;
  uint8_t header_size_ = 0;
};

using FrameRef = std::shared_ptr<Frame>;

}  // namespace oasync
