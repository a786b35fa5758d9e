// The command `parity`: audits lanes, and says what audits have found.
#pragma once

#include "options.h"

namespace oasync::terminal {

int RunParity(const CommonOptions& common, const ParityOptions& options);

}  // namespace oasync::terminal
