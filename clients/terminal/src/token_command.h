// `oa-sync token`: makes a token and prints it.
#pragma once

#include "options.h"

namespace oasync::terminal {

int RunToken(const CommonOptions& common, const TokenCommandOptions& options);

}  // namespace oasync::terminal
