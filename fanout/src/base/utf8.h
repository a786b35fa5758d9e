// UTF-8 validation, as RFC 6455 asks of text frames.
#pragma once

#include <cstddef>
#include <string_view>

namespace oasync {

// True if `text` is well-formed UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF.
bool IsValidUtf8(std::string_view text);

// How many bytes at the beginning of `text` are whole, well-formed characters.
size_t ValidUtf8Prefix(std::string_view text);

// True if well-formed UTF-8 can begin with `text`, which is at most the beginning of one character (or empty).
bool MayBeginCharacter(std::string_view text);

}  // namespace oasync
