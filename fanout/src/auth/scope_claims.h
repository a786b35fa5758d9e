// Reads the scopes out of a token's claims.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/scope.h"

namespace oasync {

// A claim that is a string, or a whole number as its digits; nothing when it is missing or anything else.
std::optional<std::string> ClaimText(const nlohmann::json& claims, std::string_view name);

// `oa_sync_scopes`, a list or a comma-separated string, as written, without the white space around each. False if the
// claim is missing, malformed, or has more than `max_scopes`.
bool ReadScopeTexts(const nlohmann::json& claims, size_t max_scopes, std::vector<std::string>* texts);

// The scope with the claims in place: {claim} stands for that claim's value. Nothing when a claim is missing or a brace
// is left open. A '*' that came out of a claim is an ordinary character, so that a value can never widen what the
// issuer wrote.
std::optional<ScopeSet::Pattern> ReadScope(const nlohmann::json& claims, std::string_view text);

// Both together; a scope whose claim is missing grants nothing.
bool ReadScopes(const nlohmann::json& claims, size_t max_scopes, ScopeSet* scopes);

}  // namespace oasync
