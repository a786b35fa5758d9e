// A journal row as a serialized openagents.sync.v1.Update: the same bytes from the output plugin and from
// sync_replay_updates.
#pragma once

#include "pg.h"

#include "bytes.h"

namespace oasync {

// Appends the message of a row given by its columns (JournalColumn - 1). Text is converted to UTF-8.
// commit_time_us is Unix microseconds, 0 when it is not known.
void AppendJournalUpdate(Bytes& out, const Datum* values, const bool* isnull, int64 commit_time_us);

}  // namespace oasync
