// Retention: what is older than its topic's horizon leaves the journal. Runs in the database's worker only, in cycles:
//
//   heads      are persisted first, so that it is known to where each topic is dense
//   physical   a partition that lies before the horizon of every topic in it is dropped whole (partition_dropper.h):
//              that costs what unlinking a file costs, however many events it holds
//   logical    floors are raised for topics whose horizon ends inside what is retained (floor_raiser.h)
//
// Nobody waits for it: locks are taken when they are free at once, otherwise the step is left for a later cycle and
// counted. Between the steps, and in the middle of long ones, voids are filled as ever.
#pragma once

#include "shared_state.h"

namespace oasync {

// Whether oa_sync.retention_interval has passed, or somebody asked by sync_retain().
bool RetentionIsDue();

// One cycle: counted, logged, and told to those who asked for it.
void Retain();

// The time before which events with this horizon may go; PG_INT64_MIN when they are kept for ever. Events are not
// exactly in the order of their times (commits overlap), so it is a little earlier than the horizon says.
TimestampTz RetentionCutoff(TimestampTz now, int64 horizon_us);

// Whether nothing at or below the watermark of this topic is open still: what is not in the journal then will never
// be. The watermark must have been read before this is called.
bool IsDenseTo(std::string_view topic, int64 watermark);

// What a long step does between its transactions, so that nobody waits for voids.
void ServeMeanwhile();

}  // namespace oasync
