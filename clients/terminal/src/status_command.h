// `oa-sync status`: how a fan-out is, once or again and again.
#pragma once

#include "options.h"

namespace oasync::terminal {

int RunStatus(const CommonOptions& common, const StatusOptions& options);

}  // namespace oasync::terminal
