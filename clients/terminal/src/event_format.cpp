#include "event_format.h"

#include <array>
#include <cstdio>
#include <ctime>

#include "base/json_text.h"
#include "escape.h"
#include "wire/update_json.h"

namespace oasync::terminal {
namespace {

namespace wire = openagents::sync::v1;

Colour OpColour(std::string_view op) {
  if (op == "delete" || op == "truncate") return Colour::kRed;
  if (op == "resync") return Colour::kYellow;
  return Colour::kGreen;
}

void AppendCursor(std::string* json, const Cursor& cursor) {
  *json += ",\"watermark\":";
  AppendWatermark(json, cursor.watermark);
  *json += ",\"epoch\":";
  AppendWatermark(json, cursor.epoch);
}

}  // namespace

const char* OpName(int op) {
  switch (op) {
    case wire::SYNC_OP_UPSERT:
      return "upsert";
    case wire::SYNC_OP_DELETE:
      return "delete";
    case wire::SYNC_OP_TRUNCATE:
      return "truncate";
    default:
      return "unknown";
  }
}

std::string FormatTime(int64_t unix_us) {
  const time_t seconds = unix_us / 1000000;
  tm when{};
  gmtime_r(&seconds, &when);
  std::array<char, 64> text;
  const size_t size = strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &when);
  snprintf(text.data() + size, text.size() - size, ".%03dZ", static_cast<int>(unix_us / 1000 % 1000));
  return text.data();
}

std::string EventFormat::Line(const std::string& json) const { return for_terminal_ ? EscapeForTerminal(json) : json; }

std::string EventFormat::Update(const wire::Update& update) const {
  if (json_) return Line(UpdateToJson(ViewOf(update)));
  const std::string op = OpName(update.op());
  std::string line = paint_(Colour::kDim, FormatTime(update.inserted_at_us())) + "  " +
                     paint_(Colour::kCyan, EscapeForTerminal(update.topic())) + "  " +
                     std::to_string(update.watermark()) + "  " + paint_(OpColour(op), op) + "  " +
                     paint_(Colour::kBold, EscapeForTerminal(update.doc_key())) + "  v" +
                     std::to_string(update.doc_version());
  if (!update.payload().empty()) line += "  " + EscapeForTerminal(update.payload());
  if (!update.traceparent().empty()) {
    line += "  " + paint_(Colour::kDim, "trace=" + EscapeForTerminal(update.traceparent()));
  }
  if (update.hydration_required()) line += "  " + paint_(Colour::kDim, "(not inline: oa-sync snapshot --key)");
  return line;
}

std::string EventFormat::Document(const std::string& topic, const SnapshotDocument& document,
                                  const Cursor& cursor) const {
  if (json_) {
    std::string json = "{\"topic\":";
    AppendJsonString(&json, topic);
    json += ",\"doc_key\":";
    AppendJsonString(&json, document.doc_key);
    json += ",\"doc_version\":" + document.doc_version + ",\"op\":\"snapshot\",\"payload\":" + document.payload +
            ",\"payload_hash\":";
    AppendJsonString(&json, document.payload_hash);
    AppendCursor(&json, cursor);
    return Line(json + "}");
  }
  return paint_(Colour::kCyan, EscapeForTerminal(topic)) + "  " + paint_(Colour::kGreen, "snapshot") + "  " +
         paint_(Colour::kBold, EscapeForTerminal(document.doc_key)) + "  v" + EscapeForTerminal(document.doc_version) +
         "  " + EscapeForTerminal(document.payload);
}

std::string EventFormat::Resync(const std::string& topic, const std::string& reason, const Cursor& cursor) const {
  if (json_) {
    std::string json = "{\"topic\":";
    AppendJsonString(&json, topic);
    json += ",\"op\":\"resync\",\"reason\":";
    AppendJsonString(&json, reason);
    AppendCursor(&json, cursor);
    return Line(json + "}");
  }
  return paint_(Colour::kCyan, EscapeForTerminal(topic)) + "  " + paint_(Colour::kYellow, "resync") + "  " +
         EscapeForTerminal(reason) + ": what came before counts no more";
}

}  // namespace oasync::terminal
