// Phoenix messages, and what clients ask for in them: parsed or refused, and what was parsed can be written and read
// again.
#include "fuzz.h"

#include <set>

#include "base/utf8.h"
#include "wire/compatibility.h"
#include "wire/phoenix.h"
#include "wire/requests.h"

namespace oasync {
namespace {

void CheckTopics(const SubscribeRequest& request) {
  std::set<std::string> seen;
  for (const auto& topic : request.topics) {
    PROMISE(IsValidTopic(topic.name));
    PROMISE(seen.insert(topic.name).second);
    if (topic.cursor) PROMISE(topic.cursor->watermark < uint64_t{1} << 63);
  }
  PROMISE(request.request_id.size() <= 128);
}

void CheckRequests(const Json& payload) {
  if (const auto parsed = ParseSubscribe(payload); parsed.ok()) {
    PROMISE(!parsed.value.topics.empty());
    CheckTopics(parsed.value);
  }
  if (const auto parsed = ParseJoin(payload); parsed.ok()) CheckTopics(parsed.value.subscribe);
  if (const auto parsed = ParseUnsubscribe(payload); parsed.ok()) {
    for (const auto& topic : parsed.value) PROMISE(IsValidTopic(topic));
  }
  CompatibilityGate gate;
  PROMISE(!JudgeCompatibility(gate, payload));
  gate.enabled = true;
  if (const auto refusal = JudgeCompatibility(gate, payload)) PROMISE((*refusal)["code"].is_string());
}

void CheckText(std::string_view text) {
  const auto message = ParsePhoenixText(text);
  if (!message) return;
  const FrameRef frame =
      EncodePhoenixMessage(message->join_ref, message->ref, message->topic, message->event, message->payload);
  PROMISE(IsValidUtf8(frame->view()));
  const auto again = ParsePhoenixText(frame->view());
  PROMISE(again);
  PROMISE(again->join_ref == message->join_ref && again->ref == message->ref);
  PROMISE(again->topic == message->topic && again->event == message->event);
  PROMISE(again->payload == message->payload);
  CheckRequests(message->payload);
}

void CheckBinary(std::string_view bytes) {
  const auto message = ParsePhoenixBinary(bytes);
  if (!message) return;
  std::string again{'\0'};
  const std::string join_ref = message->join_ref.value_or("");
  const std::string ref = message->ref.value_or("");
  for (const auto* part : {&join_ref, &ref, &message->topic, &message->event}) {
    again.push_back(static_cast<char>(part->size()));
  }
  PROMISE(again + join_ref + ref + message->topic + message->event + message->bytes == bytes);
}

}  // namespace
}  // namespace oasync

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input = AsText(data, size);
  if (oasync::IsValidUtf8(input)) oasync::CheckText(input);
  oasync::CheckBinary(input);
  return 0;
}
