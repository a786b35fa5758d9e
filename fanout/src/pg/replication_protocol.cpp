#include "replication_protocol.h"

#include <cstddef>

namespace oasync::pg {

namespace {

// PostgreSQL counts microseconds from 2000-01-01.
constexpr int64_t kPostgresEpochUnixMicros = 946'684'800'000'000;

// 'w': kind, start (8), end (8), server time (8), data. 'k': kind, end (8), server time (8), reply requested (1).
constexpr size_t kDataHeader = 1 + 8 + 8 + 8;
constexpr size_t kKeepaliveSize = 1 + 8 + 8 + 1;

uint64_t ReadUint64(std::string_view bytes, size_t at) {
  uint64_t value = 0;
  for (size_t i = at; i < at + 8; ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

void AppendUint64(std::string& out, uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xFF);
}

}  // namespace

ReplicationMessage ParseReplicationMessage(std::string_view bytes) {
  ReplicationMessage message;
  if (bytes.size() >= kDataHeader && bytes[0] == 'w') {
    message.kind = ReplicationMessage::Kind::kData;
    message.wal_position = ReadUint64(bytes, 1);
    message.data = bytes.substr(kDataHeader);
  } else if (bytes.size() >= kKeepaliveSize && bytes[0] == 'k') {
    message.kind = ReplicationMessage::Kind::kKeepalive;
    message.wal_position = ReadUint64(bytes, 1);
    message.reply_requested = bytes[kKeepaliveSize - 1] != 0;
  }
  return message;
}

std::string StandbyStatus(uint64_t wal_position, int64_t now_unix_us, bool ask_reply) {
  std::string out = "r";
  for (int i = 0; i < 3; ++i) AppendUint64(out, wal_position);  // received, flushed, applied
  AppendUint64(out, static_cast<uint64_t>(now_unix_us - kPostgresEpochUnixMicros));
  out += ask_reply ? '\1' : '\0';
  return out;
}

}  // namespace oasync::pg
