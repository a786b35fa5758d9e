// `oa-sync snapshot`: prints a topic's documents, or one of them.
#pragma once

#include "options.h"

namespace oasync::terminal {

int RunSnapshot(const CommonOptions& common, const SnapshotOptions& options);

}  // namespace oasync::terminal
