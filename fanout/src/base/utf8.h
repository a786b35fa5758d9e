// UTF-8 validation, as RFC 6455 asks of text frames.
#pragma once

#include <string_view>

namespace oasync {

// True if `text` is well-formed UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF.
bool IsValidUtf8(std::string_view text);

}  // namespace oasync
