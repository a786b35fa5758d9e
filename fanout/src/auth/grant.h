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

// Whether a socket that was opened with `first` may go on with `next`: the same somebody, of the same organization. A
// session or device that it has, it keeps; otherwise a new token would be a way around their revocation.
inline bool ContinuesAs(const Grant& first, const Grant& next) {
  const auto keeps = [](const std::string& had, const std::string& has) { return had.empty() || had == has; };
  return first.subject == next.subject && first.org_id == next.org_id && keeps(first.session_id, next.session_id) &&
         keeps(first.device_id, next.device_id);
}

}  // namespace oasync
