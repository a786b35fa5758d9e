// Whether a table can hold rows that become events: see publication_storage.cpp.
#pragma once

#include "pg.h"

extern "C" {
#include "utils/relcache.h"
}

namespace oasync {

// ERROR when events about the rows of a relation could outlive or miss them. sync_publish() refuses such tables;
// this is for what a table became afterwards, and for partitions that came later.
void CheckStorage(Relation rel);

}  // namespace oasync
