// Beginning a set-returning function that fills a tuplestore.
#pragma once

#include "pg.h"

extern "C" {
#include "funcapi.h"
}

namespace oasync {

// Makes the result set; rows go into it by tuplestore_putvalues(set->setResult, set->setDesc, …).
inline ReturnSetInfo* BeginSet(FunctionCallInfo fcinfo) {
#if PG_VERSION_NUM >= 160000
  InitMaterializedSRF(fcinfo, 0);
#else
  SetSingleFuncCall(fcinfo, 0);
#endif
  return reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
}

}  // namespace oasync
