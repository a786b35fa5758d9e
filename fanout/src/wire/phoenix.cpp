#include "wire/phoenix.h"

#include "base/json_text.h"
#include "base/utf8.h"

namespace oasync {
namespace {

// Takes a reference out of a parsed message: a short string or null.
bool TakeRef(Json* value, PhoenixRef* ref) {
  if (value->is_null()) return true;
  if (!value->is_string()) return false;
  ref->emplace(std::move(value->get_ref<std::string&>()));
  return (*ref)->size() <= kMaxPhoenixString;
}

bool TakeString(Json* value, std::string* text) {
  if (!value->is_string()) return false;
  *text = std::move(value->get_ref<std::string&>());
  return text->size() <= kMaxPhoenixString;
}

void AppendRef(std::string* out, const PhoenixRef& ref) {
  if (ref) {
    AppendJsonString(out, *ref);
  } else {
    out->append("null");
  }
}

void AppendHead(std::string* out, const PhoenixRef& join_ref, const PhoenixRef& ref, std::string_view topic,
                std::string_view event) {
  out->push_back('[');
  AppendRef(out, join_ref);
  out->push_back(',');
  AppendRef(out, ref);
  out->push_back(',');
  AppendJsonString(out, topic);
  out->push_back(',');
  AppendJsonString(out, event);
  out->push_back(',');
}

std::string Dump(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace

std::optional<PhoenixMessage> ParsePhoenixText(std::string_view text) {
  // The parser takes a zero byte for the end, and would let pass whatever is behind it.
  if (text.find('\0') != std::string_view::npos) return std::nullopt;
  Json message = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!message.is_array() || message.size() != 5) return std::nullopt;
  PhoenixMessage parsed;
  if (!TakeRef(&message[0], &parsed.join_ref) || !TakeRef(&message[1], &parsed.ref) ||
      !TakeString(&message[2], &parsed.topic) || !TakeString(&message[3], &parsed.event)) {
    return std::nullopt;
  }
  parsed.payload = std::move(message[4]);
  return parsed;
}

std::optional<PhoenixMessage> ParsePhoenixBinary(std::string_view bytes) {
  constexpr size_t kHeader = 5;  // kind and four lengths
  if (bytes.size() < kHeader || static_cast<uint8_t>(bytes[0]) != static_cast<uint8_t>(PhoenixKind::kPush)) {
    return std::nullopt;
  }
  PhoenixMessage parsed;
  std::string join_ref;
  std::string ref;
  std::string* const parts[] = {&join_ref, &ref, &parsed.topic, &parsed.event};
  size_t offset = kHeader;
  for (size_t i = 0; i < 4; ++i) {
    const size_t length = static_cast<uint8_t>(bytes[1 + i]);
    if (bytes.size() - offset < length) return std::nullopt;
    *parts[i] = bytes.substr(offset, length);
    if (!IsValidUtf8(*parts[i])) return std::nullopt;
    offset += length;
  }
  // The serializer writes an absent reference as an empty string.
  if (!join_ref.empty()) parsed.join_ref = std::move(join_ref);
  if (!ref.empty()) parsed.ref = std::move(ref);
  parsed.bytes = bytes.substr(offset);
  return parsed;
}

FrameRef EncodePhoenixReply(const PhoenixRef& join_ref, const PhoenixRef& ref, std::string_view topic, bool ok,
                            const Json& response) {
  auto frame = std::make_shared<Frame>(/*binary=*/false);
  std::string* out = frame->body();
  AppendHead(out, join_ref, ref, topic, "phx_reply");
  out->append(ok ? R"({"status":"ok","response":)" : R"({"status":"error","response":)");
  out->append(Dump(response));
  out->append("}]");
  frame->Seal();
  return frame;
}

FrameRef EncodePhoenixMessage(const PhoenixRef& join_ref, const PhoenixRef& ref, std::string_view topic,
                              std::string_view event, const Json& payload) {
  auto frame = std::make_shared<Frame>(/*binary=*/false);
  std::string* out = frame->body();
  AppendHead(out, join_ref, ref, topic, event);
  out->append(Dump(payload));
  out->push_back(']');
  frame->Seal();
  return frame;
}

void AppendBroadcastTextHead(std::string* out, std::string_view topic, std::string_view event) {
  AppendHead(out, std::nullopt, std::nullopt, topic, event);
}

void AppendBroadcastBinaryHead(std::string* out, std::string_view topic, std::string_view event) {
  out->push_back(static_cast<char>(PhoenixKind::kBroadcast));
  out->push_back(static_cast<char>(topic.size()));
  out->push_back(static_cast<char>(event.size()));
  out->append(topic);
  out->append(event);
}

}  // namespace oasync
