#include "wire/requests.h"

#include <algorithm>
#include <charconv>
#include <unordered_map>
#include <unordered_set>

namespace oasync {
namespace {

constexpr size_t kMaxTopicBytes = 160;
constexpr size_t kMaxRequestIdBytes = 128;
constexpr uint64_t kMaxWatermark = uint64_t{1} << 63;  // the journal's watermarks are bigint

std::string_view Trim(std::string_view text) {
  constexpr char kSpace[] = " \t\r\n";
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

// A non-negative integer: a JSON integer or a string of decimal digits.
bool ReadInteger(const Json& value, uint64_t* out) {
  if (value.is_number_unsigned()) {
    *out = value.get<uint64_t>();
  } else if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *out);
    if (error != std::errc() || end != text.data() + text.size()) return false;
  } else {
    return false;
  }
  return *out < kMaxWatermark;
}

std::string ReadTopics(const Json& payload, std::vector<std::string>* out) {
  const auto it = payload.find("topics");
  if (it == payload.end() || !it->is_array() || it->empty()) return "topics must be a non-empty list";
  std::unordered_set<std::string_view> seen;
  for (const Json& entry : *it) {
    if (!entry.is_string()) return "topics must be strings";
    const std::string_view topic = Trim(entry.get_ref<const std::string&>());
    if (!IsValidTopic(topic)) return "a topic is 1 to 160 characters of [A-Za-z0-9_.:/-]";
    if (seen.insert(topic).second) out->emplace_back(topic);
  }
  return {};
}

std::string ReadCursors(const Json& payload, std::unordered_map<std::string, RequestedCursor>* out) {
  static const std::string kBadWatermark = "resume_after watermarks must be non-negative integers";
  const auto it = payload.find("resume_after");
  if (it == payload.end() || it->is_null()) return {};
  if (it->is_object()) {
    for (const auto& [topic, value] : it->items()) {
      RequestedCursor cursor;
      if (!ReadInteger(value, &cursor.watermark)) return kBadWatermark;
      (*out)[std::string(Trim(topic))] = cursor;
    }
    return {};
  }
  if (!it->is_array()) return "resume_after must be an object or a list";
  for (const Json& entry : *it) {
    if (!entry.is_object()) return "resume_after entries must be objects";
    const auto topic = entry.find("topic");
    const auto watermark = entry.find("watermark");
    if (topic == entry.end() || !topic->is_string()) return "resume_after entries need a topic";
    RequestedCursor cursor;
    if (watermark == entry.end() || !ReadInteger(*watermark, &cursor.watermark)) return kBadWatermark;
    const auto epoch = entry.find("epoch");
    if (epoch != entry.end() && !epoch->is_null() && !ReadInteger(*epoch, &cursor.epoch)) {
      return "resume_after epochs must be non-negative integers";
    }
    (*out)[std::string(Trim(topic->get_ref<const std::string&>()))] = cursor;
  }
  return {};
}

std::string ReadSubscribe(const Json& payload, SubscribeRequest* out) {
  std::vector<std::string> topics;
  std::unordered_map<std::string, RequestedCursor> cursors;
  if (std::string error = ReadTopics(payload, &topics); !error.empty()) return error;
  if (std::string error = ReadCursors(payload, &cursors); !error.empty()) return error;
  for (auto& name : topics) {
    RequestedTopic topic;
    if (const auto it = cursors.find(name); it != cursors.end()) topic.cursor = it->second;
    topic.name = std::move(name);
    out->topics.push_back(std::move(topic));
  }
  if (const auto it = payload.find("replay_batch_size"); it != payload.end() && !it->is_null()) {
    uint64_t size = 0;
    if (!it->is_number() || !ReadInteger(*it, &size) || size == 0)
      return "replay_batch_size must be a positive integer";
    out->replay_batch_size = static_cast<uint32_t>(std::min<uint64_t>(size, UINT32_MAX));
  }
  if (const auto it = payload.find("request_id"); it != payload.end() && !it->is_null()) {
    if (!it->is_string() || it->get_ref<const std::string&>().size() > kMaxRequestIdBytes) {
      return "request_id must be a string of at most 128 bytes";
    }
    out->request_id = it->get<std::string>();
  }
  return {};
}

}  // namespace

bool IsValidTopic(std::string_view topic) {
  if (topic.empty() || topic.size() > kMaxTopicBytes) return false;
  return std::all_of(topic.begin(), topic.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == ':' || c == '/' || c == '-';
  });
}

Parsed<SubscribeRequest> ParseSubscribe(const Json& payload) {
  Parsed<SubscribeRequest> parsed;
  parsed.error = payload.is_object() ? ReadSubscribe(payload, &parsed.value) : "the payload must be an object";
  return parsed;
}

Parsed<JoinRequest> ParseJoin(const Json& payload) {
  Parsed<JoinRequest> parsed;
  if (!payload.is_object()) {
    parsed.error = "the payload must be an object";
    return parsed;
  }
  if (const auto it = payload.find("encoding"); it != payload.end() && !it->is_null()) {
    if (*it == "proto") {
      parsed.value.encoding = Encoding::kProto;
    } else if (*it != "json") {
      parsed.error = "encoding must be json or proto";
      return parsed;
    }
  }
  // A client that has nothing to follow yet may send an empty list with its join.
  const auto topics = payload.find("topics");
  const bool none = topics == payload.end() || topics->is_null() || (topics->is_array() && topics->empty());
  if (!none) parsed.error = ReadSubscribe(payload, &parsed.value.subscribe);
  return parsed;
}

Parsed<std::vector<std::string>> ParseUnsubscribe(const Json& payload) {
  Parsed<std::vector<std::string>> parsed;
  parsed.error = payload.is_object() ? ReadTopics(payload, &parsed.value) : "the payload must be an object";
  return parsed;
}

}  // namespace oasync
