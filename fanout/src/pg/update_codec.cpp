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
// As libprotobuf has them.
constexpr int kVarintBytes = 10;
constexpr int kShortVarintBytes = 5;  // of a tag and of a length

// Reads a base-128 varint of at most max_bytes at *at; false at the end of the bytes or past those.
bool ReadVarint(std::string_view bytes, size_t* at, int max_bytes, uint64_t* value) {
  *value = 0;
  for (int shift = 0; shift < 7 * max_bytes; shift += 7) {
    if (*at >= bytes.size()) return false;
    const auto byte = static_cast<unsigned char>(bytes[(*at)++]);
    *value |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if ((byte & 0x80) == 0) return true;
  }
  return false;
}

// A field as it stands in the bytes. Which of value and text it has depends on the wire type.
struct WireField {
  enum Type : uint8_t { kVarint = 0, kFixed64 = 1, kText = 2, kFixed32 = 5 };
  uint32_t number = 0;
  uint8_t type = 0;
  uint64_t value = 0;
  std::string_view text;
  bool IsVarint() const { return type == kVarint; }
  bool IsText() const { return type == kText; }
};

// Reads the field at *at; false if there is none that is well formed. Groups are not: proto3 has none.
bool ReadField(std::string_view bytes, size_t* at, WireField* field) {
  uint64_t tag;
  if (!ReadVarint(bytes, at, kShortVarintBytes, &tag) || tag > UINT32_MAX || tag < 8) return false;
  field->number = static_cast<uint32_t>(tag >> 3);
  field->type = tag & 7;
  size_t size = 0;
  switch (field->type) {
    case WireField::kVarint:
      return ReadVarint(bytes, at, kVarintBytes, &field->value);
    case WireField::kFixed64:
      size = 8;
      break;
    case WireField::kText:
      if (!ReadVarint(bytes, at, kShortVarintBytes, &field->value)) return false;
      size = field->value;
      break;
    case WireField::kFixed32:
      size = 4;
      break;
    default:
      return false;
  }
  if (size > bytes.size() - *at) return false;
  field->text = bytes.substr(*at, size);
  *at += size;
  return true;
}

// A field of the message. One that is not known, or not in the form that is known, is passed over, as a later version's
// may be.
void Take(const WireField& field, UpdateView* update) {
  if (field.IsText()) {
    switch (field.number) {
      case Update::kTopicFieldNumber:
        update->topic = field.text;
        break;
      case Update::kDocKeyFieldNumber:
        update->doc_key = field.text;
        break;
      case Update::kPayloadFieldNumber:
        update->payload = field.text;
        break;
      case Update::kPayloadHashFieldNumber:
        update->payload_hash = field.text;
        break;
      case Update::kTraceparentFieldNumber:
        update->traceparent = field.text;
        break;
      default:
        break;
    }
  } else if (field.IsVarint()) {
    switch (field.number) {
      case Update::kDocVersionFieldNumber:
        update->doc_version = field.value;
        break;
      case Update::kWatermarkFieldNumber:
        update->watermark = field.value;
        break;
      case Update::kHydrationRequiredFieldNumber:
        update->hydration_required = field.value != 0;
        break;
      case Update::kOpFieldNumber:
        update->op = static_cast<int>(field.value);
        break;
      case Update::kEpochFieldNumber:
        update->epoch = field.value;
        break;
      case Update::kInsertedAtUsFieldNumber:
        update->inserted_at_us = static_cast<int64_t>(field.value);
        break;
      case Update::kCommitTimeUsFieldNumber:
        update->commit_time_us = static_cast<int64_t>(field.value);
        break;
      default:
        break;
    }
  }
}

// Reads a whole message into views, as libprotobuf would: of a field that comes twice, the last counts. By hand,
// because every live event comes by here, and libprotobuf would copy each of its strings first.
bool ReadUpdate(std::string_view bytes, UpdateView* update) {
  if (bytes.size() > static_cast<size_t>(std::numeric_limits<int>::max())) return false;
  WireField field;
  for (size_t at = 0; at < bytes.size();) {
    if (!ReadField(bytes, &at, &field)) return false;
    const bool is_string = field.number == Update::kTopicFieldNumber || field.number == Update::kDocKeyFieldNumber ||
                           field.number == Update::kTraceparentFieldNumber;
    if (is_string && field.IsText() && !IsValidUtf8(field.text)) return false;
    Take(field, update);
  }
  return true;
}

// What is wrong with an update, or null.
const char* Fault(const UpdateView& update) {
  if (update.topic.empty()) return "update without topic";
  if (update.watermark == 0) return "update without watermark";
  if (update.op < SyncOp::SYNC_OP_UPSERT || update.op > SyncOp::SYNC_OP_VOID) return "update with unknown op";
  if (update.op == SyncOp::SYNC_OP_VOID) return nullptr;
  if (update.payload_hash.size() != kHashBytes) return "update whose payload_hash is not 32 bytes";
  if (update.op != SyncOp::SYNC_OP_UPSERT && !update.payload.empty()) return "tombstone with payload";
  // One bad byte would make every WebSocket client of the topic drop its connection.
  if (!IsValidUtf8(update.payload)) return "update whose payload is not UTF-8";
  return nullptr;
}

}  // namespace

std::optional<UpdatePeek> PeekUpdate(std::string_view bytes) {
  UpdatePeek peek;
  WireField field;
  for (size_t at = 0; at < bytes.size();) {
    if (!ReadField(bytes, &at, &field)) return std::nullopt;
    if (field.number == Update::kWatermarkFieldNumber && field.IsVarint()) peek.watermark = field.value;
    if (field.number == Update::kTopicFieldNumber && field.IsText()) peek.topic = field.text;
    // Fields come in the order of their numbers: what follows the watermark is of no interest here.
    if (peek.watermark != 0 && !peek.topic.empty()) return peek;
  }
  return std::nullopt;
}

EventRef DecodeUpdate(std::string_view bytes, std::string* error) {
  UpdateView update;
  if (!ReadUpdate(bytes, &update)) {
    *error = "update is not an openagents.sync.v1.Update";
    return nullptr;
  }
  if (const char* fault = Fault(update)) {
    *error = fault;
    return nullptr;
  }
  auto event = std::make_shared<Event>();
  event->topic = update.topic;
  event->watermark = update.watermark;
  event->epoch = update.epoch;
  event->op = static_cast<Op>(update.op);
  event->inserted_at_us = update.inserted_at_us;
  event->commit_time_us = update.commit_time_us;
  if (event->op != Op::kVoid) {
    event->proto.assign(bytes);
    event->json = UpdateToJson(update);
  }
  return event;
}

}  // namespace oasync::pg
