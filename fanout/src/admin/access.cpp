#include "admin/access.h"

#include "auth/identity.h"

namespace oasync {

std::optional<HttpAnswer> AdminAccess::Refuse(const HttpRequest& request) const {
  if (!environment_.identity.HasServiceKeys()) {
    return HttpErrorSaying(503, "admin_unavailable", "no_service_keys",
                           "start the server with --service-keys: a file with a key whose \"may\" has \"observe\"");
  }
  const char* reason = nullptr;
  const auto identity =
      environment_.identity.Recognize(request.authorization, environment_.clock.WallMs() / 1000, &reason);
  if (!identity) {
    environment_.shared.denials.Add(reason);
    HttpAnswer refusal = HttpErrorSaying(401, "unauthenticated", reason, "Authorization must be a service key");
    refusal.AddHeader("www-authenticate", "Bearer");
    return refusal;
  }
  if (identity->may_observe) return std::nullopt;
  environment_.shared.denials.Add("key_may_not");
  return HttpErrorSaying(403, "forbidden", "key_may_not", "the key's \"may\" has no \"observe\"");
}

}  // namespace oasync
