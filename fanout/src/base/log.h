// Logging to stderr, as text or as one JSON object a line.
#pragma once

#include <string>

namespace oasync {

// Sets up spdlog's default logger. `level` is one of spdlog's names. Call once, before any thread logs.
void SetUpLogging(const std::string& level, bool json);

}  // namespace oasync
