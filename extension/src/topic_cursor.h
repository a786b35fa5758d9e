// The cursor of a topic in one snapshot of the database.
#pragma once

#include "journal.h"

extern "C" {
#include "utils/snapshot.h"
}

namespace oasync {

struct TopicCursor {
  int64 epoch;  // the newest; 0 before the first event of a database
  int64 head;   // every watermark up to it is visible in the snapshot
};

// The topic's dense head as the snapshot shows it (below it when very many events are newer than what the worker
// persisted). What the snapshot shows beyond a gap is not counted: following events repeat it.
TopicCursor ReadTopicCursor(std::string_view topic, Snapshot snapshot);

// ERROR 55000 when events after this watermark may be gone by now: no one could follow from it.
void CheckAboveFloor(std::string_view topic, int64 watermark);

// Waits until everything that is visible now, also what was deleted, is on disk: nothing may be given out that a crash
// of this server could take back. Does nothing on a standby, where that is so.
void FlushWhatIsVisible();

}  // namespace oasync
