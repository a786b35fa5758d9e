// The server: brings the parts together and runs until a signal ends it.
#pragma once

#include "config.h"

namespace oasync {

inline constexpr int kExitRuntimeFailure = 1;
inline constexpr int kExitBadConfiguration = 2;

// Returns the exit code. REQUIRES: HandledSignals() are blocked; logging is set up.
int Serve(const Config& config);

}  // namespace oasync
