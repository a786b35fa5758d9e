// Partitions of the journal that were made before it had its last column.
#pragma once

#include "pg.h"

extern "C" {
#include "nodes/parsenodes.h"
}

namespace oasync {

// When the statement attaches a partition with the columns of 0.4.0 to a journal of today, as the restore of an older
// dump does, gives the partition what it lacks. Others are PostgreSQL's to judge. Call before the statement runs.
void CompleteAttachedPartition(const Node* statement);

}  // namespace oasync
