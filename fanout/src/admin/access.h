// AdminAccess: who may ask what operators ask.
#pragma once

#include <optional>

#include "auth/endpoints.h"
#include "net/http_message.h"

namespace oasync {

class AdminAccess {
 public:
  // What it refers to must outlive it.
  explicit AdminAccess(EndpointEnvironment environment) : environment_(environment) {}

  // Nothing when the request shows a service key whose `may` has "observe"; the refusal otherwise: 503
  // admin_unavailable when the server has no service keys, 401 unauthenticated, 403 forbidden. Counts refusals.
  std::optional<HttpAnswer> Refuse(const HttpRequest& request) const;

 private:
  EndpointEnvironment environment_;
};

}  // namespace oasync
