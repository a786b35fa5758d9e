// Reading for delivery: sync_replay, sync_replay_updates, sync_topic_heads.
//
// Returns only commits that are on disk, so that nothing reaches a client that a crash could take back (a writer may
// run with synchronous_commit = off), and only the run without gaps that follows the cursor.
#include "pg.h"

extern "C" {
#include "access/detoast.h"
#include "access/transam.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
}

#include "epoch.h"
#include "journal_scan.h"
#include "journal_update.h"
#include "result_set.h"
#include "topic_cursor.h"
#include "topic_heads.h"

namespace oasync {
namespace {

struct ReplayArguments {
  std::string_view topic;
  int64 after;
  int64 max_events;
  int64 max_bytes;
};

ReplayArguments ReadArguments(FunctionCallInfo fcinfo) {
  static constexpr const char* kNames[] = {"topic", "after", "max_events", "max_bytes"};
  for (int i = 0; i < 4; ++i) {
    if (PG_ARGISNULL(i)) {
      ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("%s must not be null", kNames[i])));
    }
  }
  const text* topic = PG_GETARG_TEXT_PP(0);
  const ReplayArguments args = {
      {VARDATA_ANY(topic), VARSIZE_ANY_EXHDR(topic)}, PG_GETARG_INT64(1), PG_GETARG_INT32(2), PG_GETARG_INT64(3)};
  if (!IsValidTopic(args.topic)) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("invalid topic \"%.*s\"", pg_mbcliplen(args.topic.data(), args.topic.size(), kMaxTopicBytes),
                           args.topic.data()),
                    errdetail("A topic is 1 to %zu bytes of letters, digits and _ . : / -", kMaxTopicBytes)));
  }
  if (args.after < 0 || args.max_events < 1 || args.max_bytes < 1) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("after must not be negative, max_events and max_bytes have to be positive")));
  }
  return args;
}

// Collects until when WAL has to be on disk for the rows that are given out.
class FlushedOnly {
 public:
  void See(TransactionId xmin) {
    if (!TransactionIdIsNormal(xmin)) return;
    const XLogRecPtr commit = TransactionIdGetCommitLSN(xmin);
    if (commit > needed_) needed_ = commit;
  }
  // Waits until they are. On a standby what can be seen was already on disk here.
  void Wait() const {
    if (!XLogRecPtrIsInvalid(needed_) && !RecoveryInProgress()) XLogFlush(needed_);
  }

 private:
  XLogRecPtr needed_ = InvalidXLogRecPtr;
};

int64 RowBytes(const JournalRow& row) {
  int64 bytes = 200;
  for (const int column : {kColDocKey, kColPayload}) {
    if (!row.isnull[column - 1]) bytes += static_cast<int64>(toast_raw_datum_size(row.values[column - 1]));
  }
  return bytes;
}

// ERROR when the cursor is below the floor: nothing was found, and that does not mean that there was nothing. Read
// after the events, because retention raises the floor no later than it drops them.
void CheckNotStale(const ReplayArguments& args) {
  int64 next = 1;
  int64 floor = 0;
  ReadTopicSequence(args.topic, nullptr, &next, &floor);
  if (args.after >= floor) return;
  ereport(ERROR,
          (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
           errmsg("cursor %lld of topic \"%.*s\" is stale: its floor is %lld", static_cast<long long>(args.after),
                  static_cast<int>(args.topic.size()), args.topic.data(), static_cast<long long>(floor)),
           errdetail("The events that follow the cursor are older than the topic's horizon and are gone."),
           errhint("Take a snapshot, and go on from its cursor.")));
}

// Calls give(row) for the dense run after the cursor, within the limits; at least one row if there is one.
template <typename Give>
void Replay(const ReplayArguments& args, Give give) {
  FlushedOnly flushed;
  JournalScan* scan = BeginJournalScan(args.topic, args.after, GetActiveSnapshot());
  int64 expected = args.after + 1;
  int64 bytes = 0;
  JournalRow row;
  while (expected - args.after <= args.max_events && NextJournalRow(scan, &row)) {
    CHECK_FOR_INTERRUPTS();
    if (row.watermark != expected) break;
    bytes += RowBytes(row);
    if (bytes > args.max_bytes && expected > args.after + 1) break;
    flushed.See(row.xmin);
    give(row);
    ++expected;
  }
  EndJournalScan(scan);
  if (expected == args.after + 1) CheckNotStale(args);
  flushed.Wait();
}

std::string_view DatumText(Datum value) {
  const text* t = DatumGetTextPP(value);
  return {VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t)};
}

}  // namespace
extern "C" {

PG_FUNCTION_INFO_V1(sync_replay);
PG_FUNCTION_INFO_V1(sync_replay_updates);
PG_FUNCTION_INFO_V1(sync_topic_heads);
PG_FUNCTION_INFO_V1(oa_sync_flush_visible);

// oa_sync_flush_visible(): for readers in SQL that show what no crash may take back.
Datum oa_sync_flush_visible(PG_FUNCTION_ARGS) {
  FlushWhatIsVisible();
  PG_RETURN_VOID();
}

// sync_replay(topic, after, max_events, max_bytes): the journal's rows.
Datum sync_replay(PG_FUNCTION_ARGS) {
  const ReplayArguments args = ReadArguments(fcinfo);
  ReturnSetInfo* set = BeginSet(fcinfo);
  MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "oa_sync replay", ALLOCSET_DEFAULT_SIZES);
  Replay(args, [set, context](const JournalRow& row) {
    const ContextSwitch in(context);
    JournalValues copy = ValuesOf(row);
    // The partition's lock is given back before the caller looks at the rows: they must not point into it.
    for (const int column : {kColDocKey, kColPayload}) {
      Datum& value = copy.values[column - 1];
      if (row.isnull[column - 1] || !VARATT_IS_EXTERNAL(DatumGetPointer(value))) continue;
      value = PointerGetDatum(detoast_external_attr(static_cast<varlena*>(static_cast<void*>(DatumGetPointer(value)))));
    }
    // As many of them as the journal has columns.
    tuplestore_putvalues(set->setResult, set->setDesc, copy.values, copy.isnull);
    in.Back();
    MemoryContextReset(context);
  });
  return static_cast<Datum>(0);
}

// sync_replay_updates(topic, after, max_events, max_bytes): the same as serialized Updates, for the fan-out.
Datum sync_replay_updates(PG_FUNCTION_ARGS) {
  const ReplayArguments args = ReadArguments(fcinfo);
  ReturnSetInfo* set = BeginSet(fcinfo);
  MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "oa_sync replay", ALLOCSET_DEFAULT_SIZES);
  Replay(args, [set, context](const JournalRow& row) {
    const ContextSwitch in(context);
    Bytes update;
    update.Append("\0\0\0\0", VARHDRSZ);
    AppendJournalUpdate(update, ValuesOf(row), 0);
    SET_VARSIZE(update.data, update.len);
    Datum values[2] = {Int64GetDatum(row.watermark), PointerGetDatum(update.data)};
    bool isnull[2] = {false, false};
    tuplestore_putvalues(set->setResult, set->setDesc, values, isnull);
    in.Back();
    MemoryContextReset(context);
  });
  return static_cast<Datum>(0);
}

// sync_topic_heads(topics): head, floor, epoch and last allocated watermark of each, in the order asked.
Datum sync_topic_heads(PG_FUNCTION_ARGS) {
  ReturnSetInfo* set = BeginSet(fcinfo);
  Datum* topics = nullptr;
  bool* nulls = nullptr;
  int count = 0;
  deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, -1, false, TYPALIGN_INT, &topics, &nulls, &count);
  const auto epoch = static_cast<int64>(ReadNewestEpoch(GetJournal()));
  FlushedOnly flushed;
  MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "oa_sync heads", ALLOCSET_DEFAULT_SIZES);
  for (int i = 0; i < count; ++i) {
    CHECK_FOR_INTERRUPTS();
    if (nulls[i]) ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("a topic must not be null")));
    const ContextSwitch in(context);
    int64 next = 1;
    int64 floor = 0;
    // First what is allocated, then what is visible at this moment: a topic that is no longer hot has nothing open.
    const int64 allocated = AllocatedHead(GetJournal()->journal, DatumText(topics[i]));
    const JournalRange range = ReadJournalRange(DatumText(topics[i]), nullptr, false);
    flushed.See(range.newest_xmin);
    ReadTopicSequence(DatumText(topics[i]), nullptr, &next, &floor);
    const int64 head = Max(range.newest, next - 1);
    Datum values[5] = {topics[i], Int64GetDatum(head), Int64GetDatum(floor), Int64GetDatum(epoch),
                       Int64GetDatum(Max(head, allocated))};
    bool isnull[5] = {};
    tuplestore_putvalues(set->setResult, set->setDesc, values, isnull);
    in.Back();
    MemoryContextReset(context);
  }
  flushed.Wait();
  return static_cast<Datum>(0);
}
}

}  // namespace oasync
