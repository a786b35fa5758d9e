// Which publications a topic's documents come from, and whether the snapshot still shows their rows.
#pragma once

#include "table_documents.h"

extern "C" {
#include "utils/relcache.h"
}

namespace oasync {

// ERROR 40001 unless the source is published now as the active snapshot shows it.
void CheckSourceUnchanged(const TableSource& source);

// ERROR 40001 unless the files of a table and its partitions are those of the active snapshot: TRUNCATE and a rewrite
// empty a table also for older snapshots. REQUIRES a lock on the table, which is what stops both from then on.
void CheckFilesUnchanged(Relation rel);

}  // namespace oasync
