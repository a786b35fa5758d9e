// Allocation of watermarks: one atomic fetch-add per topic on a head in shared memory.
//
// A transaction pins the topics it writes to, allocates a contiguous range of each, and releases everything when it
// ends. No lock is held between those steps, so writers never wait for each other. What a failed transaction
// leaves is queued for the worker, which fills it with void events (void_filler.h).
#pragma once

#include "shared_state.h"

namespace oasync {

// Reads a cold topic's head from the journal. May raise an ERROR.
using HeadReader = uint64 (*)(std::string_view topic);

// A topic that this transaction has pinned.
struct TopicHold {
  TopicEntry* topic;
  int index;
};

// Pins a topic of this database until the transaction ends, reading its head when it is cold.
// ERROR 53400 when every hot topic of its share is in use.
TopicHold PinTopic(Oid journal, std::string_view topic, HeadReader read_head);

// Takes the next `count` watermarks of a pinned topic, once; returns the first. REQUIRES a transaction id.
uint64 AllocateRange(TopicHold hold, uint64 count);

// Ends the transaction's use of its topics. After a failure its ranges are queued as voids. Raises no ERROR.
void ReleaseTopics(bool committed);

// Takes the failed ranges of a dropped database out of the queue, so that its topics can make room.
void ForgetVoids(Oid database);

// Calls visit(entry) for every ready topic of this database and journal, pinned meanwhile.
// The visitor must not pin topics; it may raise an ERROR (pins are then released with the transaction).
using TopicVisitor = void (*)(TopicEntry* topic, void* context);
void VisitHotTopics(Oid journal, TopicVisitor visit, void* context);

// The last allocated watermark of a hot topic of this database; 0 when it is cold, and on a standby.
int64 AllocatedHead(Oid journal, std::string_view topic);

}  // namespace oasync
