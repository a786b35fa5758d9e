// What doctor looks at in a database.
#pragma once

#include <optional>
#include <string>

#include "finding.h"

namespace oasync::terminal {

// What other checks want to know of the database.
struct DatabaseFacts {
  bool connected = false;
  std::string extension_version;  // empty: not installed, or not known
};

// `role`: whose rights to look at; empty: who connects.
DatabaseFacts CheckDatabase(const std::string& conninfo, const std::string& role, Findings* findings);

// Says what a difference of clocks, known within `uncertainty_ms`, means. Pure.
void JudgeClock(const std::string& check, const std::string& whose, int64_t difference_ms, int64_t uncertainty_ms,
                Findings* findings);

}  // namespace oasync::terminal
