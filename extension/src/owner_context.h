// Reading a table as its owner does, whoever asked.
//
// Who may ask is decided by EXECUTE on the function. Then no privilege of the caller lends the table's code (a payload
// function, an index expression) more than its owner has: a security-restricted operation, a search_path that nobody
// can write to, row_security off so that a policy on the owner (FORCE ROW LEVEL SECURITY) is an error and not rows left
// out silently, and the settings that output functions look at fixed.
#pragma once

#include "pg.h"

namespace oasync {

struct OwnerContext {
  Oid user;
  int security;
  int settings;
};
OA_SYNC_POD(OwnerContext);

// An ERROR between the two is undone by the end of the transaction or subtransaction, as for CREATE INDEX.
OwnerContext BecomeOwner(Oid owner);
void BecomeCallerAgain(const OwnerContext& saved);

}  // namespace oasync
