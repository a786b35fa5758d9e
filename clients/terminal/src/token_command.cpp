#include "token_command.h"

#include <unistd.h>

#include "escape.h"
#include "exit_code.h"
#include "output.h"
#include "terminal.h"

namespace oasync::terminal {

int RunToken(const CommonOptions& common, const TokenCommandOptions& options) {
  Notices notices(common.quiet, common.verbose);
  const ServerOptions& server = options.server;
  const TokenSource tokens(server.token, HttpClient(server.endpoint, server.tls, server.timeout_ms));
  const TokenResult result = server.token.keyring_file.empty() ? tokens.Ask() : tokens.Get();
  if (result.token.empty()) {
    SayError(result.error);
    return result.exit_code;
  }
  Output output(STDOUT_FILENO);
  std::string about = result.about.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (IsTerminal(STDOUT_FILENO)) about = EscapeForTerminal(about);
  output.Add(options.json ? about : result.token);
  if (output.Flush() == OutputState::kFailed) {
    SayError("standard output cannot be written: " + output.error());
    return kExitLocalFile;
  }
  if (IsTerminal(STDOUT_FILENO))
    notices.Say("good for " + result.about.value("expires_in", nlohmann::json(0)).dump() + " s");
  return kExitOk;
}

}  // namespace oasync::terminal
