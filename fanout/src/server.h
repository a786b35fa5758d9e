// The server: brings the parts together and runs until a signal ends it.
#pragma once

#include "base/service_manager.h"
#include "config.h"

namespace oasync {

inline constexpr int kExitRuntimeFailure = 1;
inline constexpr int kExitBadConfiguration = 2;

// Returns the exit code. `service_manager` is told when it serves, that it does, and when it stops. REQUIRES:
// HandledSignals() are blocked; logging is set up.
int Serve(const Config& config, const ServiceManager& service_manager);

}  // namespace oasync
