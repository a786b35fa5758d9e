// Updates as PostgreSQL sends them: what is decoded agrees with protobuf's own reading, its JSON is valid and says the
// same.
#include "fuzz.h"

#include "base/base64.h"
#include "base/utf8.h"
#include "openagents/sync/v1/sync.pb.h"
#include "pg/update_codec.h"
#include "wire/phoenix.h"
#include "wire/update_json.h"

namespace oasync {
namespace {

// A watermark of a JSON message: a number, or above 2^53 a string.
uint64_t Integer(const Json& value) {
  return value.is_string() ? std::stoull(value.get<std::string>()) : value.get<uint64_t>();
}

void CheckJson(const Event& event, const openagents::sync::v1::Update& update) {
  // The payload is copied as it is: the extension made it canonical JSON. Others are not judged.
  const bool has_zero = update.payload().find('\0') != std::string::npos;  // the end, to the parser
  if (!update.payload().empty() && (has_zero || !Json::accept(update.payload()))) return;
  PROMISE(IsValidUtf8(event.json));
  const Json json = Json::parse(event.json, nullptr, false);
  PROMISE(json.is_object());
  PROMISE(json["topic"] == update.topic() && json["doc_key"] == update.doc_key());
  PROMISE(Integer(json["watermark"]) == update.watermark() && Integer(json["doc_version"]) == update.doc_version());
  PROMISE(Integer(json["epoch"]) == update.epoch());
  PROMISE(Base64Decode(json["payload_hash"].get<std::string>()) == update.payload_hash());
  PROMISE(json["hydration_required"] == update.hydration_required());
  PROMISE(json.value("traceparent", "") == update.traceparent());
  PROMISE(json["payload"] == (update.payload().empty() ? Json() : Json::parse(update.payload())));
}

}  // namespace
}  // namespace oasync

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace oasync;
  const std::string_view input = AsText(data, size);
  std::string error;
  const auto peek = pg::PeekUpdate(input);
  const EventRef event = pg::DecodeUpdate(input, &error);
  PROMISE((event == nullptr) != error.empty());
  if (!event) {
    PROMISE(error.find('\n') == std::string::npos);
    return 0;
  }
  openagents::sync::v1::Update update;
  PROMISE(update.ParseFromArray(data, static_cast<int>(size)));
  PROMISE(event->topic == update.topic() && event->watermark == update.watermark() && event->epoch == update.epoch());
  PROMISE(static_cast<int>(event->op) == update.op() && event->commit_time_us == update.commit_time_us());
  // As PostgreSQL writes them, fields come once and in order: then the peek is the message's own.
  if (update.SerializeAsString() == input) {
    PROMISE(peek);
    PROMISE(peek->topic == update.topic() && peek->watermark == update.watermark());
  }
  if (event->op == Op::kVoid) return 0;
  PROMISE(event->proto == input);
  PROMISE(event->json == UpdateToJson(ViewOf(update)));
  CheckJson(*event, update);
  return 0;
}
