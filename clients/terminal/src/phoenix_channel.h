// The client's half of the Phoenix Channels V2 serializer, for the one channel that OA Sync has. Pure functions;
// docs/protocol/OA_SYNC_WS_MAPPING.md has worked examples.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "openagents/sync/v1/sync.pb.h"

namespace oasync::terminal {

using Json = nlohmann::json;
using UpdateBatch = openagents::sync::v1::UpdateBatch;

// A frame of the server, understood.
struct ServerFrame {
  enum class Kind : uint8_t {
    kReply,  // to the request `ref`
    kBatch,
    kEvent,  // anything else that is pushed: sync:error, sync:heartbeat, phx_close, phx_error, …
  };
  Kind kind = Kind::kEvent;
  std::string ref;    // of a reply
  bool ok = false;    // of a reply
  std::string event;  // of kEvent
  Json payload;       // the reply's response, or the event's payload
  UpdateBatch batch;
};

// A text frame: a request on the channel (`joined`), or on "phoenix" (its heartbeat).
std::string EncodeRequest(uint64_t ref, std::string_view event, const Json& payload);
std::string EncodeHeartbeat(uint64_t ref);

// Nothing, and *error, for what no server of this protocol sends: text that is no JSON or no UTF-8, frames of another
// shape, batches that break the rules of CheckBatch.
std::optional<ServerFrame> ParseServerFrame(std::string_view bytes, bool is_binary, std::string* error);

// The rules that every batch keeps: one topic, updates in rising order within (after, through], each with a known op
// and a payload that is UTF-8 and has the hash it says. False, and *error, when one is broken.
bool CheckBatch(const UpdateBatch& batch, std::string* error);

// Whether a payload is JSON without line breaks or other control characters, as canonical JSON is: what is printed
// stays on its line.
bool IsOneLineOfJson(std::string_view text);

// A watermark or epoch: a number, or a string of digits.
std::optional<uint64_t> ReadInteger(const Json& value);
// The member, when `object` is one and has it; else null.
const Json& Member(const Json& object, const char* name);
// A member that is a text; empty when it is not.
std::string TextMember(const Json& object, const char* name);

}  // namespace oasync::terminal
