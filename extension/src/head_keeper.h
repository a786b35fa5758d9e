// Head keeper: persists the dense heads of topics in sync_topic_sequences.
//
// Not needed to allocate, but retention may then drop whole partitions, a restored database goes on where it was,
// and after a crash only what is newer has to be looked through for holes. Runs in the database's worker only.
#pragma once

#include "pg.h"
#include "text_template.h"

namespace oasync {

// Persists the heads of the topics that were written to since the last time. Puts it off when a transaction is long
// between allocation and its end.
void PersistHeads();

// What of a topic has to outlive its events.
struct TopicMark {
  char name[kMaxTopicBytes];  // zero padded
  int64 next;                 // the topic is dense below it
  int64 floor;
  int64 floor_epoch;  // of the event at the floor
};

// False for what 0.1.0 made, until ALTER EXTENSION oa_sync UPDATE: heads are persisted there, floors stay.
bool KnowsFloors();

// Writes it, in the caller's transaction: watermarks and floors only ever grow. Returns how many rows changed.
int64 WriteTopicMarks(const TopicMark* marks, int count);

}  // namespace oasync
