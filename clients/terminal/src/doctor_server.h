// What doctor looks at in a fan-out.
#pragma once

#include <string>

#include "doctor_database.h"
#include "finding.h"
#include "options.h"

namespace oasync::terminal {

// The public listener: health, certificate, a WebSocket that joins.
void CheckPublic(const DoctorOptions& options, Findings* findings);
// The admin listener: readiness with its reason, and the overview when there is a key.
void CheckAdmin(const DoctorOptions& options, const DatabaseFacts& database, Findings* findings);

}  // namespace oasync::terminal
