// The routes of operators, on the admin listener: /api/admin/…, for service keys that may observe.
#pragma once

#include "admin/access.h"
#include "admin/overview.h"
#include "admin/views.h"
#include "net/http_router.h"

namespace oasync {

// Each must outlive the router.
struct AdminEnvironment {
  const AdminAccess& access;
  Overview& overview;
  const AdminViews& views;
};

void AddAdminRoutes(const AdminEnvironment& environment, HttpRouter* router);

// Those of them that need no server: topics, events, history, sessions.
void AddViewRoutes(const AdminAccess& access, const AdminViews& views, HttpRouter* router);

}  // namespace oasync
