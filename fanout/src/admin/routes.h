// The routes of operators, on the admin listener: /api/admin/…, for service keys that may observe.
#pragma once

#include "admin/access.h"
#include "admin/overview.h"
#include "net/http_router.h"

namespace oasync {

// Each must outlive the router.
struct AdminEnvironment {
  const AdminAccess& access;
  Overview& overview;
};

void AddAdminRoutes(const AdminEnvironment& environment, HttpRouter* router);

}  // namespace oasync
