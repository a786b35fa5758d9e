// Reads the scopes out of a token's claims.
#pragma once

#include <nlohmann/json.hpp>

#include "auth/scope.h"

namespace oasync {

// `oa_sync_scopes`, a list or a comma-separated string. {claim} in a scope stands for that claim's value; a scope whose
// claim is missing grants nothing, and a '*' that came out of a claim is an ordinary character, so that a value can
// never widen what the issuer wrote. False if the claim is missing, malformed, or holds more than `max_scopes`.
bool ReadScopes(const nlohmann::json& claims, size_t max_scopes, ScopeSet* scopes);

}  // namespace oasync
