// Floor raiser: the logical part of retention.
//
// A topic's floor is raised to its last event older than its horizon, found by bisection in the one partition that
// holds that time; also to the last event before which something is missing (a partition that was dropped by hand).
// Heads of topics that left shared memory before they were persisted (head_keeper.h) are persisted on the way.
// A topic costs some index look-ups, however many events it has, and a cycle looks at oa_sync.retention_topics of
// them; the next one goes on behind them.
#pragma once

#include "shared_state.h"

namespace oasync {

// Raises floors; adds to the cycle what it did.
void RaiseFloors(RetentionCycle* cycle);

}  // namespace oasync
