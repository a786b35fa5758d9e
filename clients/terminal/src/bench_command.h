// `oa-sync bench`: loads a fan-out, by a few options or by a script.
#pragma once

#include "options.h"

namespace oasync::terminal {

int RunBench(const BenchOptions& options);

}  // namespace oasync::terminal
