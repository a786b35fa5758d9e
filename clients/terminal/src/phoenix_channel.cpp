#include "phoenix_channel.h"

#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "auth/strict_json.h"
#include "base/utf8.h"
#include "wire/batch.h"
#include "wire/phoenix.h"

namespace oasync::terminal {
namespace {

using openagents::sync::v1::Update;

constexpr char kJoinRef[] = "1";
constexpr char kBatchEvent[] = "sync:update_batch";

std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

bool HashFits(const Update& update) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> hash;
  const std::string& payload = update.payload();
  SHA256(reinterpret_cast<const unsigned char*>(payload.data()), payload.size(), hash.data());
  return update.payload_hash() == std::string_view(reinterpret_cast<const char*>(hash.data()), hash.size());
}

}  // namespace

bool IsOneLineOfJson(std::string_view text) {
  const bool has_control =
      std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; });
  return !has_control && Json::accept(text);
}

namespace {

bool CheckUpdate(const Update& update, std::string* error) {
  const std::string name = update.topic() + " " + std::to_string(update.watermark());
  if (update.op() < openagents::sync::v1::SYNC_OP_UPSERT || update.op() > openagents::sync::v1::SYNC_OP_TRUNCATE) {
    *error = name + " has an unknown op";
  } else if (!IsValidUtf8(update.payload())) {
    *error = "the payload of " + name + " is no UTF-8";
  } else if (!update.payload().empty() && !IsOneLineOfJson(update.payload())) {
    *error = "the payload of " + name + " is no canonical JSON";
  } else if (!update.payload().empty() && !HashFits(update)) {
    *error = "the payload of " + name + " does not have the hash that came with it";
  } else {
    return true;
  }
  return false;
}

std::optional<ServerFrame> ParseBinary(std::string_view bytes, std::string* error) {
  const auto byte = [&](size_t i) { return static_cast<size_t>(static_cast<unsigned char>(bytes[i])); };
  *error = "a binary frame that is no batch";
  if (bytes.size() < 3 || byte(0) != static_cast<size_t>(PhoenixKind::kBroadcast)) return std::nullopt;
  const size_t topic = byte(1);
  const size_t event = byte(2);
  if (bytes.size() < 3 + topic + event || bytes.substr(3, topic) != kChannel ||
      bytes.substr(3 + topic, event) != kBatchEvent) {
    return std::nullopt;
  }
  bytes.remove_prefix(3 + topic + event);
  ServerFrame frame;
  frame.kind = ServerFrame::Kind::kBatch;
  if (!frame.batch.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    *error = "a batch that is no UpdateBatch";
    return std::nullopt;
  }
  if (!CheckBatch(frame.batch, error)) return std::nullopt;
  error->clear();
  return frame;
}

}  // namespace

std::string EncodeRequest(uint64_t ref, std::string_view event, const Json& payload) {
  return Dump(Json::array({kJoinRef, std::to_string(ref), kChannel, event, payload}));
}

std::string EncodeHeartbeat(uint64_t ref) {
  return Dump(Json::array({nullptr, std::to_string(ref), "phoenix", "heartbeat", Json::object()}));
}

const Json& Member(const Json& object, const char* name) {
  static const Json kNothing;
  if (!object.is_object()) return kNothing;
  const auto found = object.find(name);
  return found == object.end() ? kNothing : *found;
}

std::string TextMember(const Json& object, const char* name) {
  const std::string* text = FindText(object, name);
  return text == nullptr ? std::string() : *text;
}

std::optional<uint64_t> ReadInteger(const Json& value) {
  if (value.is_number_unsigned()) return value.get<uint64_t>();
  if (value.is_number_integer() && value.get<int64_t>() >= 0) return static_cast<uint64_t>(value.get<int64_t>());
  if (!value.is_string()) return std::nullopt;
  const auto& text = value.get_ref<const std::string&>();
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

bool CheckBatch(const UpdateBatch& batch, std::string* error) {
  if (batch.updates().empty() || batch.through_watermark() <= batch.after_watermark()) {
    *error = "an empty batch";
    return false;
  }
  uint64_t before = batch.after_watermark();
  for (const Update& update : batch.updates()) {
    if (update.topic() != batch.updates(0).topic()) {
      *error = "a batch of several topics";
      return false;
    }
    if (update.watermark() <= before || update.watermark() > batch.through_watermark()) {
      *error = "a batch of " + update.topic() + " whose updates are not in order";
      return false;
    }
    before = update.watermark();
    if (!CheckUpdate(update, error)) return false;
  }
  return true;
}

std::optional<ServerFrame> ParseServerFrame(std::string_view bytes, bool is_binary, std::string* error) {
  if (is_binary) return ParseBinary(bytes, error);
  if (!IsValidUtf8(bytes)) {
    *error = "a text frame that is no UTF-8";
    return std::nullopt;
  }
  Json json = ParseStrictJson(bytes);
  if (!json.is_array() || json.size() != 5 || !json[2].is_string() || !json[3].is_string() || !json[4].is_object()) {
    *error = "a text frame that is no Phoenix message";
    return std::nullopt;
  }
  ServerFrame frame;
  frame.event = json[3].get<std::string>();
  if (frame.event == "phx_reply") {
    if (!json[1].is_string()) {
      *error = "a reply to nothing";
      return std::nullopt;
    }
    frame.kind = ServerFrame::Kind::kReply;
    frame.ref = json[1].get<std::string>();
    frame.ok = TextMember(json[4], "status") == "ok";
    frame.payload = Member(json[4], "response");
  } else {
    frame.payload = std::move(json[4]);
  }
  return frame;
}

}  // namespace oasync::terminal
