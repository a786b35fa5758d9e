#include "wire/frame.h"

namespace oasync {

void Frame::Seal(bool compressed) {
  compressed_ = compressed;
  const uint64_t length = size();
  const size_t extra = length < 126 ? 0 : length < 65536 ? 2 : 8;
  header_size_ = static_cast<uint8_t>(2 + extra);
  char* header = data_.data() + kHeadroom - header_size_;
  header[0] = static_cast<char>(0x80 | (compressed ? 0x40 : 0) | (binary_ ? 2 : 1));  // one final fragment
  header[1] = static_cast<char>(extra == 0 ? length : extra == 2 ? 126 : 127);
  for (size_t i = 0; i < extra; ++i) header[2 + i] = static_cast<char>(length >> 8 * (extra - 1 - i));
}

}  // namespace oasync
