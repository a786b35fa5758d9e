// JsonSlice: the text of a member of a JSON object, as it stands there. A payload's hash is over its text, and a
// parser would give back other digits than those that were sent.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

namespace oasync::terminal {

// The text of the value of `object`'s member; nothing when it has none. REQUIRES: `object` is a valid JSON text.
std::optional<std::string_view> JsonMember(std::string_view object, std::string_view name);

// The texts of a list's elements. REQUIRES: `list` is a valid JSON text; empty when it is no list.
std::vector<std::string_view> JsonElements(std::string_view list);

}  // namespace oasync::terminal
