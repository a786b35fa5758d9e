// The JSON form of an Update, as it stands in "updates" of a sync:update_batch.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "openagents/sync/v1/sync.pb.h"

namespace oasync {

// The fields of an Update, without copies: good as long as what they were read from.
struct UpdateView {
  std::string_view topic;
  std::string_view doc_key;
  uint64_t doc_version = 0;
  std::string_view payload;
  uint64_t watermark = 0;
  std::string_view payload_hash;
  bool hydration_required = false;
  int op = 0;  // openagents.sync.v1.SyncOp, known or not
  uint64_t epoch = 0;
  int64_t inserted_at_us = 0;
  int64_t commit_time_us = 0;
  std::string_view traceparent;
};

UpdateView ViewOf(const openagents::sync::v1::Update& update);

// One JSON object. The payload is copied as it is: it already is canonical JSON. Empty for a void event.
std::string UpdateToJson(const UpdateView& update);

}  // namespace oasync
