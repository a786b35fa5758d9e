// The messages inside CopyBoth of a logical replication connection. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace oasync::pg {

struct ReplicationMessage {
  enum class Kind : uint8_t { kData, kKeepalive, kMalformed };
  Kind kind = Kind::kMalformed;
  uint64_t wal_position = 0;     // of the data's start, or the server's end of WAL
  bool reply_requested = false;  // keepalive only
  std::string_view data;         // kData only; into the bytes given
};

// Parses an XLogData ('w') or primary keepalive ('k') message.
ReplicationMessage ParseReplicationMessage(std::string_view bytes);

// Standby status update ('r') that reports everything up to `wal_position` as received, flushed and applied.
// `now_unix_us`: Unix microseconds. `ask_reply`: the server shall answer at once.
std::string StandbyStatus(uint64_t wal_position, int64_t now_unix_us, bool ask_reply);

}  // namespace oasync::pg
