// Event: one journal entry as every part of the fan-out holds it.
//
// Immutable after construction and shared by reference count between threads, so that an event is decoded
// and encoded once, whatever the number of its subscribers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace oasync {

// Same numbers as openagents.sync.v1.SyncOp.
enum class Op : uint8_t { kUpsert = 1, kDelete = 2, kTruncate = 3, kVoid = 4 };

struct Event {
  std::string topic;
  uint64_t watermark = 0;  // place in the topic: 1, 2, 3, …
  uint64_t epoch = 0;
  Op op = Op::kUpsert;
  int64_t inserted_at_us = 0;  // Unix microseconds
  int64_t commit_time_us = 0;  // Unix microseconds; 0 when read from the journal
  // Serialized openagents.sync.v1.Update, as it came; empty for a void event.
  std::string proto;
  // The element of "updates" in a JSON sync:update_batch (one object); empty for a void event.
  std::string json;
};

using EventRef = std::shared_ptr<const Event>;

// Bytes that an event takes in memory, about.
inline size_t WeightOf(const Event& event) {
  return sizeof(Event) + event.topic.size() + event.proto.size() + event.json.size();
}

}  // namespace oasync
