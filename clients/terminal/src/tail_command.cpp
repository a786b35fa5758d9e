#include "tail_command.h"

#include <unistd.h>

#include "tail.h"

namespace oasync::terminal {

int RunTail(const CommonOptions& common, const TailOptions& options) {
  Notices notices(common.quiet, common.verbose);
  Output output(STDOUT_FILENO);
  const EventFormat format(options.json, IsTerminal(STDOUT_FILENO), Painter(WantsColour(common.colour, STDOUT_FILENO)));
  return Tail(options, &notices, &output, format).Run();
}

}  // namespace oasync::terminal
