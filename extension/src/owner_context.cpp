#include "owner_context.h"

extern "C" {
#include "utils/guc.h"
}

#include "value_json.h"

namespace oasync {
namespace {

void Set(const char* name, const char* value) {
  (void)set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

}  // namespace

OwnerContext BecomeOwner(Oid owner) {
  OwnerContext saved = {};
  GetUserIdAndSecContext(&saved.user, &saved.security);
  SetUserIdAndSecContext(owner, saved.security | SECURITY_RESTRICTED_OPERATION);
  saved.settings = BeginFixedSettings();
  Set("search_path", "pg_catalog, pg_temp");
  Set("row_security", "off");
  return saved;
}

void BecomeCallerAgain(const OwnerContext& saved) {
  // Not EndFixedSettings(): what the owner's code SET (search_path, say) must not stay in the caller's session.
  AtEOXact_GUC(false, saved.settings);
  SetUserIdAndSecContext(saved.user, saved.security);
}

}  // namespace oasync
