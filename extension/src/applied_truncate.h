// TRUNCATE of partitions by logical replication: see applied_truncate.cpp.
#pragma once

#include "pg.h"

namespace oasync {

// Registers the callbacks. Called from _PG_init.
void InstallAppliedTruncate();

// The present transaction has logged the truncate events of a published table.
void NoteTruncated(Oid root);

}  // namespace oasync
