// Journal: which relations the extension has in this database, and the journal's partitions.
//
// Found by the extension's name, never by a schema's, so that `CREATE EXTENSION oa_sync SCHEMA x` works. Cached in
// the backend; relation-cache invalidations mark it, the next call reads it afresh.
#pragma once

#include "pg.h"

extern "C" {
#include "access/tupdesc.h"
}

namespace oasync {

struct JournalPartition {
  Oid relid;
  bool is_default;
  TimestampTz from;  // inclusive; events are in it by their inserted_at
  TimestampTz to;    // exclusive
};

struct Journal {
  Oid schema;
  Oid journal;       // sync_stream_events
  Oid sequences;     // sync_topic_sequences
  Oid publications;  // sync_publications
  Oid epochs;        // sync_epochs
  Oid policies;      // sync_topic_policies; InvalidOid before the update from 0.1.0
  Oid projections;   // sync_projections; the same
  int partition_count;
  JournalPartition* partitions;
};

// The journal of this database, or null when the extension is not here (or is just being created).
// Valid until the next call. REQUIRES a transaction.
const Journal* FindJournal();

// The same; ERROR 55000 with a hint when the extension is not here.
const Journal* GetJournal();

// The partition for events appended at `when`, never null: the default one takes what no other does.
const JournalPartition* PartitionFor(const Journal* journal, TimestampTz when);

// Columns of the journal, by number, the same in each of its partitions.
enum JournalColumn {
  kColTopic = 1,
  kColWatermark,
  kColEpoch,
  kColDocKey,
  kColDocVersion,
  kColOp,
  kColPayload,
  kColPayloadHash,
  kColTxid,
  kColInsertedAt,
  kColTraceparent,  // since 0.5.0: not there before ALTER EXTENSION oa_sync UPDATE
};
constexpr int kJournalColumns = 11;
constexpr int kJournalColumnsOf040 = 10;

// ERROR unless the relation has exactly the journal's columns (a partition that was attached by hand may not), those of
// today or of 0.4.0.
void CheckJournalColumns(Oid relid, TupleDesc columns);

// A row of the journal by its columns, JournalColumn - 1. One of 0.4.0 has a null for what it lacks.
struct JournalValues {
  Datum values[kJournalColumns];
  bool isnull[kJournalColumns];

  // By attribute number (kCol...).
  Datum Value(int column) const { return values[column - 1]; }
  bool IsNull(int column) const { return isnull[column - 1]; }
};

// Registers the invalidation callback. Called from _PG_init; children of the postmaster inherit it.
void WatchJournal();

}  // namespace oasync
