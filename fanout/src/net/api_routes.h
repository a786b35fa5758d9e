// The routes that are neither health nor documents: tokens, revocations, and the WebSocket's paths without an upgrade.
#pragma once

#include "auth/endpoints.h"
#include "net/http_router.h"

namespace oasync {

// POST /api/sync/token on both listeners, POST /api/sync/sessions/revoke on the admin listener. Both endpoints
// must outlive the router.
void AddAuthRoutes(const TokenEndpoint& tokens, const RevokeEndpoint& revocations, HttpRouter* router);

// 426 for whoever comes to the socket's paths and asks for no upgrade.
void AddSocketRoutes(HttpRouter* router);

}  // namespace oasync
