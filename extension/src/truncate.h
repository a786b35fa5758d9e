// TRUNCATE of published tables and of their partitions: see truncate.cpp.
#pragma once

#include "pg.h"

namespace oasync {

// Installs the object access hook. Called from _PG_init.
void InstallTruncate();

// A subtransaction was rolled back, and with it the events of a TRUNCATE in it: the same command may come again.
void ForgetTruncate();

// Whether a DELETE of a partition's rows would be captured now: by its clone of the row trigger of publication `id`.
// REQUIRES a lock on it.
bool RowTriggerFires(Oid relid, int32 id);

}  // namespace oasync
