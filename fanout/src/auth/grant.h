// Grant: what a verified token gives.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "auth/scope.h"

namespace oasync {

// Shared by the sessions that use it; immutable.
struct Grant {
  std::string subject;
  std::string org_id;      // oa_org_id; empty when the token has none, as the others
  std::string token_id;    // jti
  std::string session_id;  // oa_session_id
  std::string device_id;   // oa_device_id
  int64_t expires_at = 0;  // Unix seconds
  ScopeSet scopes;
};
using GrantRef = std::shared_ptr<const Grant>;

}  // namespace oasync
