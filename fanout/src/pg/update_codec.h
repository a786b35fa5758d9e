// update_codec: serialized openagents.sync.v1.Update, as the journal and the slot give it, to Event.
//
// Bytes are checked, never trusted: whatever they hold, the answer is an event or an error. Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "../event.h"

namespace oasync::pg {

// The two fields that decide whether an update is wanted at all.
struct UpdatePeek {
  std::string_view topic;  // into the bytes given
  uint64_t watermark = 0;
};

// Finds topic and watermark without decoding the rest. nullopt when the bytes are not a message that has both.
std::optional<UpdatePeek> PeekUpdate(std::string_view bytes);

// Decodes an update and encodes its JSON element. On failure returns null and sets *error to one line that holds
// no payload.
EventRef DecodeUpdate(std::string_view bytes, std::string* error);

}  // namespace oasync::pg
