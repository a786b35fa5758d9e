#include "wire/update_json.h"

#include "base/base64.h"
#include "base/json_text.h"

namespace oasync {

namespace v1 = openagents::sync::v1;

namespace {

std::string_view OpName(int op) {
  switch (op) {
    case v1::SYNC_OP_DELETE:
      return "delete";
    case v1::SYNC_OP_TRUNCATE:
      return "truncate";
    default:
      return "upsert";
  }
}

}  // namespace

UpdateView ViewOf(const v1::Update& update) {
  return {update.topic(),     update.doc_key(),        update.doc_version(),        update.payload(),
          update.watermark(), update.payload_hash(),   update.hydration_required(), update.op(),
          update.epoch(),     update.inserted_at_us(), update.commit_time_us(),     update.traceparent()};
}

std::string UpdateToJson(const UpdateView& update) {
  if (update.op == v1::SYNC_OP_VOID) return {};
  std::string out;
  // What is always there takes 222 bytes; the numbers are small nearly always, and escapes seldom.
  out.reserve(256 + update.topic.size() + update.doc_key.size() + update.payload.size());
  out.append(R"({"topic":)");
  AppendJsonString(&out, update.topic);
  out.append(R"(,"doc_key":)");
  AppendJsonString(&out, update.doc_key);
  out.append(R"(,"doc_version":)");
  AppendWatermark(&out, update.doc_version);
  out.append(R"(,"op":")");
  out.append(OpName(update.op));
  out.append(R"(","payload":)");
  out.append(update.payload.empty() ? "null" : update.payload);
  out.append(R"(,"payload_hash":")");
  out.append(Base64Encode(update.payload_hash));
  out.append(R"(","watermark":)");
  AppendWatermark(&out, update.watermark);
  out.append(R"(,"epoch":)");
  AppendWatermark(&out, update.epoch);
  out.append(R"(,"hydration_required":)");
  out.append(update.hydration_required ? "true" : "false");
  out.append(R"(,"inserted_at":)");
  AppendTimestamp(&out, update.inserted_at_us);
  if (!update.traceparent.empty()) {
    out.append(R"(,"traceparent":)");
    AppendJsonString(&out, update.traceparent);
  }
  out.push_back('}');
  return out;
}

}  // namespace oasync
