// Commands that the extension takes part in: see utility_hook.cpp.
#pragma once

namespace oasync {

// Installs the ProcessUtility hook. Called from _PG_init.
void InstallUtilityHook();

}  // namespace oasync
