// Capture: a row change becomes an event in the event log.
#pragma once

#include "publication.h"
#include "update_wire.h"

extern "C" {
#include "executor/tuptable.h"
}

namespace oasync {

// Logs the deletion of the document that a row is. Used by triggers and by TRUNCATE of a partition.
void CaptureDelete(TablePublication* pub, TupleTableSlot* row);

// Logs the removal of every document of the publication on a topic.
void CaptureTruncate(const TablePublication* pub, std::string_view topic);

// Appends the topic that a row belongs to; false when it has none (not a valid topic, or a column of it is null).
bool TryRenderTopic(Bytes& out, TablePublication* pub, TupleTableSlot* row);

// The topic when it is the same for all rows; false otherwise.
bool FixedTopic(Bytes& out, const TablePublication* pub);

// What a row is as a document; false when it can't be named (a null in its key, a topic that is none): such a row was
// never an event. doc_version is kVersionIsWatermark when the publication has no version column.
struct RowIdentity {
  Bytes topic;
  Bytes doc_key;
  int64 doc_version;
};
bool IdentifyRow(RowIdentity* identity, TablePublication* pub, TupleTableSlot* row);

// Appends the payload that an upsert of the row has: canonical JSON in UTF-8.
void AppendRowPayload(Bytes& out, TablePublication* pub, TupleTableSlot* row);

// The document key of a row, and its version (kVersionIsWatermark when no column gives it). ERROR when a column of it
// is null or does not fit.
void RenderDocKey(Bytes& out, TablePublication* pub, TupleTableSlot* row);
int64 RowVersion(const TablePublication* pub, TupleTableSlot* row);
// The same key of a row that goes away; false when key or version can't be had: such a row never was a document.
bool TryRenderDocKey(Bytes& out, TablePublication* pub, TupleTableSlot* row);

// Appends the payload of a row of a projection; false when its function returned null: there is no document.
bool AppendDocument(Bytes& out, TablePublication* pub, TupleTableSlot* row);

}  // namespace oasync
