// Restore watch: whether a dump is being loaded into this database.
//
// It begins with the CREATE EXTENSION of a session that has set what every dump sets; the first epoch of the database
// says so in its reason. Until it ends, rows that such a session puts into the read models are no events: those come
// with the journal. PostgreSQL does not tell when a restore ends. What can be seen: the journal no longer grows,
// published tables have their triggers, which come after all data, and no pg_restore is connected. Only then does the
// worker fill the holes that commits on their way left in the dump's journal.
#pragma once

#include "journal.h"

namespace oasync {

// Whether this session has set everything that the scripts of pg_dump set at their beginning.
bool SessionLoadsDump();

// Whether the extension was created by a dump whose end the worker has not seen yet.
bool IsBeingRestored(const Journal* journal);

// Whether the CREATE EXTENSION that runs now is a dump's. Told by the utility hook, because the script of an extension
// runs with settings of its own.
void NoteCreateExtension(bool by_dump);
bool CreatedByDump();

// True when no restore is under way, and notes its end. Called by the worker, outside of a transaction, now and then.
bool RestoreHasSettled();

}  // namespace oasync
