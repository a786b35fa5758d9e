// The Phoenix Channels V2 serializer: text frames are [join_ref, ref, topic, event, payload], binary frames a kind
// byte, one-byte lengths, the strings, and the payload. Pure functions; docs/protocol/OA_SYNC_WS_MAPPING.md has
// worked examples.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "wire/frame.h"

namespace oasync {

using Json = nlohmann::json;

// A reference as the client wrote it; nothing for JSON null.
using PhoenixRef = std::optional<std::string>;

struct PhoenixMessage {
  PhoenixRef join_ref;
  PhoenixRef ref;
  std::string topic;
  std::string event;
  Json payload;       // of a text frame
  std::string bytes;  // of a binary frame
};

// First byte of a binary frame.
enum class PhoenixKind : uint8_t { kPush = 0, kReply = 1, kBroadcast = 2 };

// Longest reference, topic and event that is accepted; the binary serializer can carry no more.
inline constexpr size_t kMaxPhoenixString = 255;

// Nothing if `text` is not a V2 message. REQUIRES: valid UTF-8.
std::optional<PhoenixMessage> ParsePhoenixText(std::string_view text);

// Nothing unless `bytes` is a well-formed binary push with UTF-8 strings.
std::optional<PhoenixMessage> ParsePhoenixBinary(std::string_view bytes);

// A reply to (join_ref, ref).
FrameRef EncodePhoenixReply(const PhoenixRef& join_ref, const PhoenixRef& ref, std::string_view topic, bool ok,
                            const Json& response);

// A message from the server; with null references it has the shape of a broadcast.
FrameRef EncodePhoenixMessage(const PhoenixRef& join_ref, const PhoenixRef& ref, std::string_view topic,
                              std::string_view event, const Json& payload);

// The head of a text broadcast up to its payload: [null,null,"topic","event", — the payload and "]" follow.
void AppendBroadcastTextHead(std::string* out, std::string_view topic, std::string_view event);

// The head of a binary broadcast; the payload follows. REQUIRES: both strings at most kMaxPhoenixString.
void AppendBroadcastBinaryHead(std::string* out, std::string_view topic, std::string_view event);

}  // namespace oasync
