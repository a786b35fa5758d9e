// Partition dropper: the physical part of retention.
//
// A partition is locked against writes (there are none: its time is long past), then the heads and floors of all of
// its topics are persisted, then it is dropped. The strong locks that DROP TABLE needs (the partition, the journal and
// its default partition) are held from the moment when all of them are free until that commit, some milliseconds.
// A default partition whose events are all too old is emptied instead, unless it is that of the present.
#pragma once

#include "shared_state.h"

namespace oasync {

// Drops what may go; adds to the cycle what it did.
void DropOldPartitions(RetentionCycle* cycle);

// Has policies watched, which decide how long a partition stays. Called from _PG_init.
void WatchHorizons();

}  // namespace oasync
