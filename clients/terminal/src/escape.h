// Escape: text of strangers made harmless for a terminal.
#pragma once

#include <string>
#include <string_view>

namespace oasync::terminal {

// Control characters (C0, DEL, C1), line and paragraph separators, and characters that turn the direction of what
// follows become \uXXXX; bytes that are no UTF-8 become \xNN. Everything else stays as it is. A JSON text stays the
// same JSON text: such characters can only be inside its strings.
std::string EscapeForTerminal(std::string_view text);

}  // namespace oasync::terminal
