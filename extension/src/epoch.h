// Epochs: which history of the database a watermark belongs to.
//
// sync_epochs holds a row for each, with the cluster's system identifier and WAL time line, the database and the
// journal. When these are not the newest row's (promotion, point-in-time recovery, restore from a dump, a copy of the
// database), the worker opens a new epoch; until it has, no event is appended. Numbers are microseconds since 1970 (or
// one more than the newest), so that two histories that went apart do not open epochs of the same number.
#pragma once

#include "journal.h"

namespace oasync {

// The epoch for events appended now. Waits for the worker when it has yet to open one, up to oa_sync.epoch_wait;
// then ERROR 57P03.
uint64 CurrentEpoch(const Journal* journal);

// ERROR 40001 when another epoch began since. Called after allocation, so that within a topic epochs only grow.
void CheckEpochStillIs(const Journal* journal, uint64 epoch);

// The newest epoch that the database knows, for readers (also on a standby). 0 when there is none.
uint64 ReadNewestEpoch(const Journal* journal);

// Every epoch that this database knows, ascending.
int64* ReadEpochs(const Journal* journal, int* count);

// Notes that in a topic the present epoch differs from the earlier ones from `watermark` on: it filled a hole there
// that an earlier epoch left, which in that epoch's own later history may have been an event.
void NoteFork(const Journal* journal, std::string_view topic, uint64 epoch, uint64 watermark);

// Whether shared memory knows the epoch of this history of this journal.
bool EpochIsPublished(const Journal* journal);

// Looks for a dump that is being loaded: epochs that it brought, or an extension that it created. Then the journal's
// holes are to be filled when it ends, and if the newest epoch is another history's, a new one is to be opened. Called
// by the worker, in a transaction.
void NoticeRestoredEpochs(const Journal* journal);

// Whether the newest epoch is that of a CREATE EXTENSION by a dump, and still says so.
bool NewestEpochIsOfRestore(const Journal* journal);
// Has it say that the restore is over. Called by the worker, in a transaction.
void NoteEndOfRestore(const Journal* journal);

// Opens a new epoch if this is not the history of the newest one. Called by the worker, in a transaction.
void OpenEpochIfNeeded(const Journal* journal);

}  // namespace oasync
