// Endpoints: what HTTP asks of authentication, as functions of a request. No socket is in sight: whoever has one reads
// the request (and refuses what is too large, or comes too often from one address), calls, and writes the answer.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "auth/identity.h"
#include "auth/token_issuer.h"
#include "base/clock.h"
#include "base/counters.h"
#include "database.h"

namespace oasync {

class RevocationList;

inline constexpr std::string_view kTokenPath = "/api/sync/token";
inline constexpr std::string_view kRevokePath = "/api/sync/sessions/revoke";

// What of an HTTP request matters here.
struct ApiRequest {
  std::string method;         // "POST"
  std::string path;           // without the query
  std::string authorization;  // the header Authorization, as it came; empty when it did not
  std::string body;
};

// `body` is JSON: {"data":…}, or {"error":{"code":…,"reason"?:…,"message":…}}.
struct ApiAnswer {
  int status = 200;
  std::string body;
  const char* extra_header = "";  // "name: value\r\n", to be sent with the answer
};
using ApiCallback = std::function<void(ApiAnswer)>;

// Counts what it refuses in the denials, by reason. Thread-safe; each reference must outlive it.
struct EndpointEnvironment {
  const IdentityCheck& identity;
  const Clock& clock;
  SharedCounters& shared;
};

// POST /api/sync/token: mints a token for whoever the request's Authorization names.
//   200 {"data":{"token",…}} as in the wire's page; 400 bad_request; 401 unauthenticated; 405; 422 invalid_scope,
//   invalid_ttl, invalid_device (all {"error":{"code"}}); 503 sync_token_unavailable when this server has no key to
//   sign with, or knows nobody who could ask.
class TokenEndpoint {
 public:
  // `revocations` may be null: then nobody is refused for them.
  TokenEndpoint(EndpointEnvironment environment, const TokenIssuer& issuer, const RevocationList* revocations)
      : environment_(environment), issuer_(issuer), revocations_(revocations) {}

  ApiAnswer Answer(const ApiRequest& request) const;

 private:
  EndpointEnvironment environment_;
  const TokenIssuer& issuer_;
  const RevocationList* revocations_;
};

// POST /api/sync/sessions/revoke, for keys that may revoke.
//   200 {"data":{"revoked":n,"reason":…,"expires_at":…}} once the database has it; 400 bad_request; 401
//   unauthenticated; 403 forbidden; 405; 422 invalid_reason, invalid_value, too_many_values; 503
//   revocation_unavailable.
class RevokeEndpoint {
 public:
  RevokeEndpoint(EndpointEnvironment environment, Database& database)
      : environment_(environment), database_(database) {}

  // `done` is called once: now, or later on a thread of the database.
  void Answer(const ApiRequest& request, ApiCallback done) const;

 private:
  EndpointEnvironment environment_;
  Database& database_;
};

}  // namespace oasync
