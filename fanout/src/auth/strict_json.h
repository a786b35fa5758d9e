// Strict JSON, for what decides about rights: headers and claims of tokens, keys, requests for tokens.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

namespace oasync {

// Like Json::parse without exceptions (a discarded value when the text is not JSON), and also discarded when an object
// names a member twice: two readers of such a text could each believe another one (RFC 7515, 4), or when it is nested
// more deeply than anything here is.
nlohmann::json ParseStrictJson(std::string_view text);

// The member, if `object` is one and has it as a string; else null. Lives as long as the object.
const std::string* FindText(const nlohmann::json& object, const char* name);

}  // namespace oasync
