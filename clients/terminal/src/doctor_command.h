// `oa-sync doctor`: looks for what is wrong, and says what to do.
#pragma once

#include "options.h"

namespace oasync::terminal {

int RunDoctor(const CommonOptions& common, const DoctorOptions& options);

}  // namespace oasync::terminal
