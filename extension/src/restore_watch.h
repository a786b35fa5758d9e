// Restore watch: whether a dump that is being loaded into this database is complete.
//
// The journal of a dump can lack commits that were on their way, and the worker fills those holes; but only when
// every row that the dump has is there. PostgreSQL does not tell when a restore ends. What can be seen: the journal no
// longer grows, and published tables have their triggers, which come after all data.
#pragma once

namespace oasync {

// True when no restore is under way. Called by the worker, outside of a transaction, now and then.
bool RestoreHasSettled();

}  // namespace oasync
