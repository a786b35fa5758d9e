// A journal row as a serialized openagents.sync.v1.Update: the same bytes from the output plugin and from
// sync_replay_updates.
#pragma once

#include "pg.h"

#include "bytes.h"
#include "journal.h"

namespace oasync {

// Appends the message of a row. Text is converted to UTF-8. commit_time_us is Unix microseconds, 0 when it is not
// known.
void AppendJournalUpdate(Bytes& out, const JournalValues& row, int64 commit_time_us);

}  // namespace oasync
