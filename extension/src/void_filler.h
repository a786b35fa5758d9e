// Void filler: closes what failed transactions left open, so that every topic is dense.
//
// Three sources of holes, one way to fill them: ranges that failed transactions queued; topics whose ranges did not
// fit in the queue; and, once after the server started, whatever a crash left. Runs in the database's worker only.
#pragma once

#include "shared_state.h"

namespace oasync {

// Fills the ranges that are queued for this database. Returns false when there were none.
bool FillQueuedVoids();

// Fills the holes of topics whose failed ranges did not fit in the queue.
void FillOverflowedTopics();

// Fills what a crash left, in every topic of the journal. Each call of it that succeeds is enough for the life of the
// server's shared memory.
void FillHolesAfterCrash();

// Waits until every transaction that had allocated watermarks when this was called has ended.
// False when that took longer than the limit.
bool AwaitAllocators(int timeout_ms);

}  // namespace oasync
