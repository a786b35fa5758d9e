// CanonicalText: the project's canonical JSON, by the extension's own code, and the hash that payloads are known by.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace oasync::terminal {

// The canonical form of a JSON text; nothing when it is none, or nested too deeply.
std::optional<std::string> CanonicalJson(std::string_view text);

// sha256 of it, 64 hexadecimal digits in lower case.
std::optional<std::string> PayloadHash(std::string_view json);

// A hash as others write it (hexadecimal of either case, base64 of either alphabet), in that form; nothing when it is
// not the hash of a sha256.
std::optional<std::string> NormalHash(std::string_view text);

// 32 bytes in that form; empty for any other number of bytes.
std::string HashOfBytes(std::string_view bytes);

}  // namespace oasync::terminal
