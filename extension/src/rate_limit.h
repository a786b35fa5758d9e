// Publish rates: how many events of a topic all sessions together may log. The buckets are in shared memory.
#pragma once

#include "pg.h"

namespace oasync {

struct PublishToken {
  int64 wait_ns;  // 0: taken; else so long until there is one
  bool first;     // this subtransaction had taken none of the topic before
};

// Takes one token of a topic of this database. When there is none, an ERROR has to follow: what this subtransaction
// took is given back, so that who retries does not starve itself. Otherwise a token stays taken, whatever becomes of
// its transaction.
PublishToken TakePublishToken(std::string_view topic, int64 rate);

// For shared_state.cpp: the table's size, and its first state.
Size RateTableSize();
void InitRateTable(void* memory);

}  // namespace oasync
