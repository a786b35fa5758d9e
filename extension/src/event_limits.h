// What the policies of its topic say to an event, before it is logged.
#pragma once

#include "pg.h"

namespace oasync {

// Asks the policies for one event of a topic without payload. ERROR 53400 when the topic is at its publish rate.
void AdmitEvent(std::string_view topic);

// The same for an upsert whose payload has `size` bytes; ERROR 54000 when that is too much for the setting
// oa_sync.max_payload or for a policy. Returns false when the payload is not to be in the journal.
bool AdmitUpsert(std::string_view topic, std::string_view doc_key, size_t size);

}  // namespace oasync
