#include "pg/replication_protocol.h"

#include <gtest/gtest.h>

#include <string>

namespace oasync::pg {
namespace {

using Kind = ReplicationMessage::Kind;

std::string Big(uint64_t value) {
  std::string out;
  for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xFF);
  return out;
}

TEST(ReplicationProtocolTest, Data) {
  const std::string bytes = "w" + Big(0x1'0000'00A0) + Big(0x1'0000'00B0) + Big(5) + "payload";
  const ReplicationMessage message = ParseReplicationMessage(bytes);
  EXPECT_EQ(message.kind, Kind::kData);
  EXPECT_EQ(message.wal_position, 0x1'0000'00A0u);
  EXPECT_EQ(message.data, "payload");
}

TEST(ReplicationProtocolTest, Keepalive) {
  const ReplicationMessage asked = ParseReplicationMessage("k" + Big(77) + Big(5) + std::string(1, '\1'));
  EXPECT_EQ(asked.kind, Kind::kKeepalive);
  EXPECT_EQ(asked.wal_position, 77u);
  EXPECT_TRUE(asked.reply_requested);
  EXPECT_FALSE(ParseReplicationMessage("k" + Big(77) + Big(5) + std::string(1, '\0')).reply_requested);
}

TEST(ReplicationProtocolTest, Malformed) {
  EXPECT_EQ(ParseReplicationMessage("").kind, Kind::kMalformed);
  EXPECT_EQ(ParseReplicationMessage("x").kind, Kind::kMalformed);
  EXPECT_EQ(ParseReplicationMessage("w" + Big(1) + Big(2)).kind, Kind::kMalformed);
  EXPECT_EQ(ParseReplicationMessage("k" + Big(1) + Big(2)).kind, Kind::kMalformed);
}

TEST(ReplicationProtocolTest, Status) {
  // 2000-01-01T00:00:01Z is one second of PostgreSQL's time.
  const std::string status = StandbyStatus(0xAB, 946'684'801'000'000, true);
  EXPECT_EQ(status, "r" + Big(0xAB) + Big(0xAB) + Big(0xAB) + Big(1'000'000) + std::string(1, '\1'));
}

}  // namespace
}  // namespace oasync::pg
