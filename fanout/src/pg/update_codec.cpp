#include "update_codec.h"

#include <limits>
#include <utility>

#include "base/utf8.h"
#include "openagents/sync/v1/sync.pb.h"
#include "wire/update_json.h"

namespace oasync::pg {

namespace {

using openagents::sync::v1::SyncOp;
using openagents::sync::v1::Update;

constexpr size_t kHashBytes = 32;

// Reads a base-128 varint at *at; false at the end of the bytes or past ten of them.
bool ReadVarint(std::string_view bytes, size_t* at, uint64_t* value) {
  *value = 0;
  for (int shift = 0; shift < 70; shift += 7) {
    if (*at >= bytes.size()) return false;
    const auto byte = static_cast<unsigned char>(bytes[(*at)++]);
    *value |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if ((byte & 0x80) == 0) return true;
  }
  return false;
}

// What is wrong with a parsed update, or null.
const char* Fault(const Update& update) {
  if (update.topic().empty()) return "update without topic";
  if (update.watermark() == 0) return "update without watermark";
  if (update.op() < SyncOp::SYNC_OP_UPSERT || update.op() > SyncOp::SYNC_OP_VOID) return "update with unknown op";
  if (update.op() == SyncOp::SYNC_OP_VOID) return nullptr;
  if (update.payload_hash().size() != kHashBytes) return "update whose payload_hash is not 32 bytes";
  if (update.op() != SyncOp::SYNC_OP_UPSERT && !update.payload().empty()) return "tombstone with payload";
  // One bad byte would make every WebSocket client of the topic drop its connection.
  if (!IsValidUtf8(update.payload())) return "update whose payload is not UTF-8";
  return nullptr;
}

}  // namespace

std::optional<UpdatePeek> PeekUpdate(std::string_view bytes) {
  UpdatePeek peek;
  size_t at = 0;
  while (at < bytes.size()) {
    uint64_t tag;
    if (!ReadVarint(bytes, &at, &tag)) return std::nullopt;
    uint64_t value;
    switch (tag & 7) {
      case 0:
        if (!ReadVarint(bytes, &at, &value)) return std::nullopt;
        if (tag >> 3 == Update::kWatermarkFieldNumber) peek.watermark = value;
        break;
      case 1:
        if (bytes.size() - at < 8) return std::nullopt;
        at += 8;
        break;
      case 2:
        if (!ReadVarint(bytes, &at, &value) || value > bytes.size() - at) return std::nullopt;
        if (tag >> 3 == Update::kTopicFieldNumber) peek.topic = bytes.substr(at, value);
        at += value;
        break;
      case 5:
        if (bytes.size() - at < 4) return std::nullopt;
        at += 4;
        break;
      default:
        return std::nullopt;
    }
    // Fields come in the order of their numbers: what follows the watermark is of no interest here.
    if (peek.watermark != 0 && !peek.topic.empty()) return peek;
  }
  return std::nullopt;
}

EventRef DecodeUpdate(std::string_view bytes, std::string* error) {
  // libprotobuf would write what it finds wrong to stderr, past the log.
  [[maybe_unused]] static auto* const default_handler = google::protobuf::SetLogHandler(nullptr);
  // Reused, because clearing keeps the capacity of its strings.
  thread_local Update update;
  if (bytes.size() > static_cast<size_t>(std::numeric_limits<int>::max()) ||
      !update.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    *error = "update is not an openagents.sync.v1.Update";
    return nullptr;
  }
  if (const char* fault = Fault(update)) {
    *error = fault;
    return nullptr;
  }
  auto event = std::make_shared<Event>();
  event->topic = update.topic();
  event->watermark = update.watermark();
  event->epoch = update.epoch();
  event->op = static_cast<Op>(update.op());
  event->inserted_at_us = update.inserted_at_us();
  event->commit_time_us = update.commit_time_us();
  if (event->op != Op::kVoid) {
    event->proto.assign(bytes);
    event->json = UpdateToJson(update);
  }
  return event;
}

}  // namespace oasync::pg
