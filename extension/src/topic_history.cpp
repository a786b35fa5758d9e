// Behind sync_topic_histories(): how far a topic of the present history is that of an earlier epoch.
//
// Every row of the journal carries the epoch it was appended in, and within a topic, voids aside, epochs only grow
// with the watermark. So what an epoch shares with the present ends before the first row of a later epoch, which a
// binary search finds. Voids are passed over: a hole that an earlier epoch left is filled in a later one; where that
// happens void_filler.cpp notes it in sync_epoch_forks, which the SQL function takes into account.
#include "pg.h"

extern "C" {
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
}

#include "epoch.h"
#include "journal_scan.h"
#include "result_set.h"
#include "shared_state.h"
#include "update_wire.h"

namespace oasync {
namespace {

// The epoch of the first event that is no void at or after a watermark, or of a void before it if that is earlier: then
// it was appended there, and is shared. 0 when nothing follows.
int64 EpochFrom(std::string_view topic, int64 watermark) {
  JournalScan* scan = BeginJournalScan(topic, watermark - 1, nullptr);
  JournalRow row;
  int64 epoch = 0;
  int64 void_epoch = 0;
  while (epoch == 0 && NextJournalRow(scan, &row)) {
    CHECK_FOR_INTERRUPTS();
    const text* op = DatumGetTextPP(row.values[kColOp - 1]);
    const int64 of_row = DatumGetInt64(row.values[kColEpoch - 1]);
    if (std::string_view(VARDATA_ANY(op), VARSIZE_ANY_EXHDR(op)) == OpName(Op::kVoid)) {
      if (void_epoch == 0) void_epoch = of_row;
    } else {
      epoch = of_row;
    }
  }
  EndJournalScan(scan);
  return epoch == 0 || void_epoch == 0 ? Max(epoch, void_epoch) : Min(epoch, void_epoch);
}

// The first hole above `dense`, 0 when there is none. What an earlier epoch had there is not known.
int64 FirstHole(std::string_view topic, int64 dense) {
  JournalScan* scan = BeginJournalScan(topic, dense, nullptr);
  JournalRow row;
  int64 expected = dense + 1;
  bool found = true;
  while ((found = NextJournalRow(scan, &row)) && row.watermark == expected) {
    CHECK_FOR_INTERRUPTS();
    ++expected;
  }
  EndJournalScan(scan);
  return found ? expected : 0;
}

// Whether the holes that earlier epochs left are filled, and where they were is in sync_epoch_forks. Not known on a
// standby, nor until the worker has looked through the journal after a start or a restore.
bool HolesAreFilled(int epoch_count) {
  if (RecoveryInProgress()) return false;
  const DatabaseState* database = MyDatabaseState();
  return database->recovered && database->epoch_count == epoch_count;
}

struct Retained {
  int64 first;  // of the journal above the floor
  int64 head;
  int64 floor;
  int64 floor_epoch;
};

bool IsShared(int64 found, int64 epoch) { return found != 0 && found <= epoch; }

// The last watermark shared with `epoch`; -1 when nothing that could be resumed is.
int64 SharedThrough(std::string_view topic, const Retained& retained, int64 epoch) {
  // After a failover that lost nothing, every topic is shared to its end.
  if (retained.head > retained.floor && IsShared(EpochFrom(topic, retained.head), epoch)) return retained.head;
  int64 low = retained.first;      // everything below it is shared
  int64 high = retained.head + 1;  // from here on nothing is known to be
  while (low < high) {
    const int64 middle = low + (high - low) / 2;
    if (IsShared(EpochFrom(topic, middle), epoch)) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  const int64 through = low - 1;
  if (through > retained.floor) return through;
  return retained.floor_epoch <= epoch ? retained.floor : -1;
}

Retained ReadRetained(std::string_view topic, bool is_filled) {
  Retained retained = {};
  int64 next = 1;
  const JournalRange range = ReadJournalRange(topic, nullptr, false);
  ReadTopicFloor(topic, nullptr, &next, &retained.floor, &retained.floor_epoch);
  retained.first = retained.floor + 1;
  retained.head = Max(range.newest, Max(next - 1, retained.floor));
  if (!is_filled) {
    const int64 hole = FirstHole(topic, Max(next - 1, retained.floor));
    if (hole != 0) retained.head = hole - 1;
  }
  return retained;
}

}  // namespace
extern "C" {

PG_FUNCTION_INFO_V1(oa_sync_topic_histories);

// oa_sync_topic_histories(topics): a row for each topic and each earlier epoch that it shares something with.
Datum oa_sync_topic_histories(PG_FUNCTION_ARGS) {
  ReturnSetInfo* set = BeginSet(fcinfo);
  Datum* topics = nullptr;
  bool* nulls = nullptr;
  int count = 0;
  deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, -1, false, TYPALIGN_INT, &topics, &nulls, &count);
  int epoch_count = 0;
  const int64* epochs = ReadEpochs(GetJournal(), &epoch_count);
  const bool is_filled = HolesAreFilled(epoch_count);
  MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "oa_sync histories", ALLOCSET_DEFAULT_SIZES);
  for (int t = 0; t < count; ++t) {
    if (nulls[t]) ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("a topic must not be null")));
    const ContextSwitch in(context);
    const text* name = DatumGetTextPP(topics[t]);
    const std::string_view topic(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
    const Retained retained = ReadRetained(topic, is_filled);
    for (int e = 0; e + 1 < epoch_count; ++e) {
      const int64 through = SharedThrough(topic, retained, epochs[e]);
      if (through < 0) continue;
      Datum values[3] = {topics[t], Int64GetDatum(epochs[e]), Int64GetDatum(through)};
      bool isnull[3] = {};
      tuplestore_putvalues(set->setResult, set->setDesc, values, isnull);
    }
    in.Back();
    MemoryContextReset(context);
  }
  return static_cast<Datum>(0);
}
}

}  // namespace oasync
