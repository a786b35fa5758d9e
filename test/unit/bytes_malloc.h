// Test double of the extension's memory: realloc, with a count of the blocks that are alive.
#pragma once

namespace oasync {

// Blocks given out by Reallocate and not yet given back to Release.
int LiveBlocks();

}  // namespace oasync
