// Appending to the journal: straight into the partition of the moment, in the caller's transaction, without SPI.
//
// Rows are gathered and written many at a time. The unique index of the partition is kept, and any other index on
// it. Memory: a bounded batch, whatever the number of rows.
#pragma once

#include "journal.h"
#include "update_wire.h"

namespace oasync {

// One event to append. The Datums are varlenas (or null where `payload` is absent) in the server's encoding, which
// stay put until Flush.
struct JournalAppendRow {
  Datum topic;
  uint64 watermark;
  uint64 epoch;
  Datum doc_key;
  int64 doc_version;
  Op op;
  bool has_payload;
  Datum payload;
  Datum payload_hash;
  bool has_traceparent;
  Datum traceparent;
};

struct JournalAppender;

// Opens the partition that events appended now belong to. Without `traces` no row may have a traceparent. Memory in the
// current context. REQUIRES a transaction.
JournalAppender* OpenJournalAppender(bool traces);
// Adds a row; returns true when the batch is full and Flush has to be called before the row's Datums may go.
bool AddJournalRow(JournalAppender* appender, const JournalAppendRow& row);
// Writes what was added.
void FlushJournal(JournalAppender* appender);
// Flushes and closes. On ERROR before it, the transaction's resource owner closes everything.
void CloseJournalAppender(JournalAppender* appender);

}  // namespace oasync
