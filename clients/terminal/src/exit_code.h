// How the program ends: one number for each kind of end, so that scripts can tell them apart. They are in the manual.
#pragma once

namespace oasync::terminal {

enum ExitCode : int {
  kExitOk = 0,
  kExitProblem = 1,  // status: not ready. doctor: a problem was found. bench: subscribers were lost. parity: closed
  kExitUsage = 2,    // the command line, or a file that it names, can't be used
  kExitCannotConnect = 3,  // nobody answers, or TLS fails
  kExitRefused = 4,        // no valid token, a topic that it does not open, an origin or limit of the server
  kExitStale = 5,          // the cursor can't be resumed; --resync would begin anew
  kExitLost = 6,           // the connection was lost more often than --retries allows
  kExitBadAnswer = 7,      // the server says what no OA Sync server says
  kExitLocalFile = 8,  // the cursor file is used by another process or can't be written; the output can't be written
  kExitSignal = 128,   // + the signal's number
};

}  // namespace oasync::terminal
