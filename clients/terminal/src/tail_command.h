// `oa-sync tail`: follows topics, prints what comes, and never loses its place.
#pragma once

#include "options.h"

namespace oasync::terminal {

int RunTail(const CommonOptions& common, const TailOptions& options);

}  // namespace oasync::terminal
