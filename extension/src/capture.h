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

// Appends the topic that a row belongs to. ERROR when it is not a valid topic, or a column of it is null.
void RenderTopic(Bytes& out, TablePublication* pub, TupleTableSlot* row);

// The topic when it is the same for all rows; false otherwise.
bool FixedTopic(Bytes& out, const TablePublication* pub);

}  // namespace oasync
