// What clients ask for in the payloads of phx_join, sync:subscribe and sync:unsubscribe, parsed and checked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "wire/batch.h"
#include "wire/phoenix.h"

namespace oasync {

// Where a client says it stands in a topic.
struct RequestedCursor {
  uint64_t watermark = 0;
  uint64_t epoch = 0;  // 0: the client does not know it
};

struct RequestedTopic {
  std::string name;
  std::optional<RequestedCursor> cursor;  // none: everything retained, from the floor
};

struct SubscribeRequest {
  std::vector<RequestedTopic> topics;  // trimmed, no duplicates
  uint32_t replay_batch_size = 0;      // 0: the server's limit
  std::string request_id;              // echoed in the reply when given
};

struct JoinRequest {
  Encoding encoding = Encoding::kJson;
  SubscribeRequest subscribe;  // without topics when the join brings none
};

// Outcome of parsing: a value, or one sentence that says what is wrong with which field.
template <typename T>
struct Parsed {
  T value{};
  std::string error;
  bool ok() const { return error.empty(); }
};

// [A-Za-z0-9_.:/-], 1 to 160 bytes.
bool IsValidTopic(std::string_view topic);

Parsed<SubscribeRequest> ParseSubscribe(const Json& payload);
Parsed<JoinRequest> ParseJoin(const Json& payload);
// The topics of an unsubscribe, trimmed, no duplicates.
Parsed<std::vector<std::string>> ParseUnsubscribe(const Json& payload);

}  // namespace oasync
