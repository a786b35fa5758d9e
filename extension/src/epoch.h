// Epochs: which history of the database a watermark belongs to.
//
// sync_epochs holds a row for each, with the cluster's system identifier and WAL time line. When these are not the
// newest row's (promotion, point-in-time recovery, restore into another cluster), the worker opens a new epoch;
// until it has, no event is appended.
#pragma once

#include "journal.h"

namespace oasync {

// The epoch for events appended now. Waits for the worker when it has yet to open one, up to oa_sync.epoch_wait;
// then ERROR 57P03.
uint64 CurrentEpoch(const Journal* journal);

// The newest epoch that the database knows, for readers (also on a standby). 0 when there is none.
uint64 ReadNewestEpoch(const Journal* journal);

// Whether shared memory knows the epoch of this history of this journal.
bool EpochIsPublished(const Journal* journal);

// Opens a new epoch if this is not the history of the newest one. Called by the worker, in a transaction.
void OpenEpochIfNeeded(const Journal* journal);

}  // namespace oasync
