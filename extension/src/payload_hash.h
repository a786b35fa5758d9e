// sha256 of canonical JSON.
#pragma once

#include "pg.h"

namespace oasync {

constexpr size_t kHashBytes = 32;

// Writes the hash of `payload` (UTF-8) to `hash`, kHashBytes long. ERROR XX000 when OpenSSL fails.
void HashPayload(std::string_view payload, uint8* hash);

// The hash of `null`: that of an event without a payload.
const uint8* NullPayloadHash();

}  // namespace oasync
