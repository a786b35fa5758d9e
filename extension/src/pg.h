// The boundary between our C++ and PostgreSQL. Every source file of the extension that touches a backend
// includes this first.
//
// Two rules hold it, both by construction:
//  - No C++ exception can reach PostgreSQL: the extension is compiled with -fno-exceptions -fno-rtti and uses
//    nothing of the C++ run-time library (the build checks the undefined symbols of the result).
//  - No ERROR longjmps over a live destructor: objects on the stack are trivially destructible (say so with
//    OA_SYNC_POD), memory belongs to memory contexts, everything else to resource owners and xact callbacks.
//
// No thread is ever started in a backend.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

extern "C" {
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
}

// States that T may live on the stack across a call that can raise an ERROR.
#define OA_SYNC_POD(T) static_assert(std::is_trivially_destructible_v<T>, "an ERROR would skip the destructor of " #T)

namespace oasync {

// Switches CurrentMemoryContext, as MemoryContextSwitchTo, for the life of a block that raises no ERROR it would
// have to outlive: on ERROR, PostgreSQL resets the current context itself, so the destructor may be skipped.
// (Deliberately not a destructor: call Back().)
struct ContextSwitch {
  MemoryContext previous;
  explicit ContextSwitch(MemoryContext to) : previous(MemoryContextSwitchTo(to)) {}
  void Back() const { MemoryContextSwitchTo(previous); }
};
OA_SYNC_POD(ContextSwitch);

}  // namespace oasync
