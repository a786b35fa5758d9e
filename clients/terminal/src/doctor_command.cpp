#include "doctor_command.h"

#include <unistd.h>

#include "doctor_database.h"
#include "doctor_server.h"
#include "escape.h"
#include "exit_code.h"
#include "output.h"
#include "stop.h"

namespace oasync::terminal {

int RunDoctor(const CommonOptions& common, const DoctorOptions& options) {
  Findings findings;
  DatabaseFacts database;
  if (!options.database.empty()) database = CheckDatabase(options.database, options.role, &findings);
  if (StopSignal() == 0 && options.checks_server) CheckPublic(options, &findings);
  if (StopSignal() == 0 && !options.admin_url.empty()) CheckAdmin(options, database, &findings);
  if (StopSignal() != 0) return kExitSignal + StopSignal();
  Output output(STDOUT_FILENO);
  if (options.json) {
    const std::string line = findings.ToJson().dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    output.Add(IsTerminal(STDOUT_FILENO) ? EscapeForTerminal(line) : line);
  } else {
    output.AddRaw(findings.ToText(Painter(WantsColour(common.colour, STDOUT_FILENO))));
  }
  if (output.Flush() == OutputState::kFailed) {
    SayError("standard output cannot be written: " + output.error());
    return kExitLocalFile;
  }
  return findings.Count(Verdict::kProblem) > 0 ? kExitProblem : kExitOk;
}

}  // namespace oasync::terminal
