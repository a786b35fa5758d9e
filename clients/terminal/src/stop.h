// Stop: SIGINT and SIGTERM end what the program does in an orderly way, at the next place that looks.
#pragma once

namespace oasync::terminal {

// From now on the two signals are remembered instead of ending the process; a second one ends it at once. SIGPIPE is
// ignored: writing to a closed pipe is an error like any other.
void CatchSignals();

// The signal that asked to stop; 0 when none did.
int StopSignal();

// The longest wait, in milliseconds, between two looks at StopSignal().
inline constexpr int kLookForStopMs = 200;

}  // namespace oasync::terminal
