// Progress of large transactions, for the view sync_progress_append. A place in shared memory for each backend, which
// only it writes, and only once its transaction is large.
#pragma once

#include "pg.h"

namespace oasync {

// A transaction with fewer events is over before anybody looks.
constexpr uint64 kProgressFrom = 10000;

enum class AppendPhase : uint32 { kNone, kCapture, kAppend, kCommit };

struct AppendState {
  AppendPhase phase;
  int topics;
  uint64 events;
  uint64 appended;
  uint64 spilled_bytes;
};

// Tells where this backend's transaction is. Raises no ERROR.
void ReportProgress(const AppendState& state);

// The transaction has ended. Costs nothing when nothing was reported. Raises no ERROR.
void EndProgress();

// For shared_state.cpp: the table's size, and its first state.
Size ProgressTableSize();
void InitProgressTable(void* memory);

}  // namespace oasync
