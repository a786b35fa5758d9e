// The JSON form of an Update, as it stands in "updates" of a sync:update_batch.
#pragma once

#include <string>

#include "openagents/sync/v1/sync.pb.h"

namespace oasync {

// One JSON object. The payload is copied as it is: it already is canonical JSON. Empty for a void event.
std::string UpdateToJson(const openagents::sync::v1::Update& update);

}  // namespace oasync
