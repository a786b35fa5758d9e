// Head keeper: persists the dense heads of topics in sync_topic_sequences.
//
// Not needed to allocate, but retention may then drop whole partitions, a restored database goes on where it was,
// and after a crash only what is newer has to be looked through for holes. Runs in the database's worker only.
#pragma once

namespace oasync {

// Persists the heads of the topics that were written to since the last time. Puts it off when a transaction is long
// between allocation and its end.
void PersistHeads();

}  // namespace oasync
