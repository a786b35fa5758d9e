// The background processes: one launcher for the cluster, one worker for each database that has the extension.
//
//   launcher (no database)      every oa_sync.database_check_interval, and when woken: starts a worker for each
//        |                      database that has none and is not known to lack the extension, one after the other
//        v
//   worker (one database)       no extension: says so and exits, until CREATE EXTENSION wakes the launcher
//     1. opens an epoch if this is a new history
//     2. fills the holes that a crash left
//     3. for ever: queued voids at once; partitions every minute; heads every oa_sync.checkpoint_interval;
//        retention every oa_sync.retention_interval
#pragma once

#include "pg.h"

namespace oasync {

// Registers the launcher. Called from _PG_init.
void InstallWorkers();

// Ends the worker of a database, and keeps the launcher from starting another one for a while, so that the database
// can be dropped, renamed, moved or copied. Waits for the worker's end, a few seconds at most.
void SuspendWorker(Oid database);

// After COMMIT of the transaction, has the launcher look at this database again.
void LookAgainAfterCommit();
// After COMMIT of the transaction, this database's epoch is read again.
void ForgetEpochAfterCommit();
// Whether this transaction has called that.
bool EpochWillBeForgotten();
// Called when a transaction ends.
void OnTransactionEnd(bool committed);

// Whether so much time has passed since then; true as well when the clock was set back behind it, so that a clock that
// was far ahead for a while does not stop the worker until that time comes again.
bool HasPassed(TimestampTz since, int ms);

// Runs body() in a transaction of its own. An ERROR is logged and the transaction rolled back; returns false then.
bool RunInTransaction(const char* what, void (*body)());

}  // namespace oasync
