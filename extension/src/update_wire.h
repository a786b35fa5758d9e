// The protobuf form of an event: openagents.sync.v1.Update, written by hand.
//
// A backend can't hold libprotobuf comfortably (exceptions, global state), and this message is small. The unit
// tests parse what this writes with the generated code. Knows nothing of PostgreSQL; all text is UTF-8.
#pragma once

#include <string_view>

#include "bytes.h"

namespace oasync {

// Same numbers as openagents.sync.v1.SyncOp.
enum class Op : uint8_t { kUpsert = 1, kDelete = 2, kTruncate = 3, kVoid = 4 };

// The journal's text for an operation.
std::string_view OpName(Op op);
// False when `name` is none of them.
bool ParseOp(std::string_view name, Op& op);

struct UpdateFields {
  std::string_view topic;
  std::string_view doc_key;
  uint64_t doc_version;
  std::string_view payload;  // empty when there is none
  uint64_t watermark;
  std::string_view payload_hash;
  bool hydration_required = false;  // the payload is to be fetched
  Op op;
  uint64_t epoch;
  int64_t inserted_at_us;
  int64_t commit_time_us;             // 0 when not known
  std::string_view traceparent = {};  // empty when there is none
};

// Appends the serialized message. Zero and empty fields are left out, as proto3 does.
void AppendUpdate(Bytes& out, const UpdateFields& fields);

}  // namespace oasync
