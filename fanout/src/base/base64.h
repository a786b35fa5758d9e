// Base64 for payload hashes (standard alphabet, padded) and for tokens (either alphabet, padding optional).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace oasync {

std::string Base64Encode(std::string_view bytes);

// Accepts both alphabets ('+/' and '-_'), with or without padding; nothing if a character or the length is wrong.
std::optional<std::string> Base64Decode(std::string_view text);

}  // namespace oasync
