#include "pg.h"

#include "append_progress.h"
#include "commit.h"
#include "epoch.h"
#include "event_log.h"
#include "journal_append.h"
#include "journal_scan.h"
#include "topic_heads.h"
#include "traceparent.h"
#include "truncate.h"
#include "worker.h"

namespace oasync {
namespace {

bool past_pre_commit = false;           // what is captured now would not be appended any more
DatabaseState* appending_in = nullptr;  // while this transaction appends to the journal: its database

// Pins every topic before any watermark is taken: what can fail, fails before there is something to fill.
void Allocate(const Journal* journal, LoggedTopic* topics, int count) {
  auto* holds = static_cast<TopicHold*>(palloc(sizeof(TopicHold) * static_cast<Size>(count)));
  const Oid relid = journal->journal;
  for (int i = 0; i < count; ++i) {
    if (topics[i].count != 0) holds[i] = PinTopic(relid, topics[i].name, ReadDurableHead);
  }
  for (int i = 0; i < count; ++i) {
    if (topics[i].count != 0) topics[i].next = AllocateRange(holds[i], topics[i].count);
  }
  pfree(holds);
}

Datum CopyVarlena(Datum value) {
  const void* from = DatumGetPointer(value);
  const Size size = VARSIZE(from);
  void* to = palloc(size);
  memcpy(to, from, size);
  return PointerGetDatum(to);
}

// What a large transaction tells of its append, nothing when it is small.
void Report(AppendPhase phase, int topic_count, uint64 appended) {
  if (LoggedEvents() < kProgressFrom) return;
  ReportProgress({phase, topic_count, LoggedEvents(), appended, SpilledBytes()});
}

// The trace of the events that are read from the log, where it lies while rows point to it.
class PresentTrace {
 public:
  // Takes in the next event. REQUIRES the context of the batch in force when the event does not stay.
  void See(const LoggedEvent& event, bool stays) {
    if (event.trace != LoggedTrace::kOwn) return;
    text_ = stays ? event.Traceparent() : CopyVarlena(event.Traceparent());
  }
  Datum text() const { return text_; }
  // Call before the batch's memory goes.
  void Keep() {
    if (text_ == 0 || text_ == PointerGetDatum(kept_)) return;
    memcpy(kept_, DatumGetPointer(text_), sizeof(kept_));
    text_ = PointerGetDatum(kept_);
  }

 private:
  Datum text_ = 0;
  alignas(int32) char kept_[VARHDRSZ + kTraceparentBytes];
};

uint64 Append(LoggedTopic* topics, int topic_count, uint64 epoch) {
  JournalAppender* appender = OpenJournalAppender(LogHasTraces());
  PresentTrace trace;
  MemoryContext batch = nullptr;  // copies of what was read back from the file
  uint64 events = 0;
  bool stays = false;
  RewindLog();
  while (const LoggedEvent* event = NextEvent(&stays)) {
    LoggedTopic& topic = topics[event->topic];
    JournalAppendRow row = {};
    row.topic = topic.name_text;
    row.watermark = topic.next++;
    row.epoch = epoch;
    row.op = event->op;
    row.doc_version =
        event->doc_version == kVersionIsWatermark ? static_cast<int64>(row.watermark) : event->doc_version;
    row.doc_key = event->At(event->doc_key);
    row.payload_hash = event->At(event->payload_hash);
    row.has_payload = event->payload != 0;
    if (row.has_payload) row.payload = event->At(event->payload);
    if (!stays) {
      if (batch == nullptr) {
        batch = AllocSetContextCreate(CurrentMemoryContext, "oa_sync append", ALLOCSET_DEFAULT_SIZES);
      }
      const ContextSwitch in(batch);
      row.doc_key = CopyVarlena(row.doc_key);
      row.payload_hash = CopyVarlena(row.payload_hash);
      if (row.has_payload) row.payload = CopyVarlena(row.payload);
      trace.See(*event, false);
      in.Back();
    } else {
      trace.See(*event, true);
    }
    row.has_traceparent = event->trace != LoggedTrace::kNone;
    if (row.has_traceparent) row.traceparent = trace.text();
    ++events;
    if (!AddJournalRow(appender, row)) continue;
    FlushJournal(appender);
    Report(AppendPhase::kAppend, topic_count, events);
    if (batch != nullptr) {
      trace.Keep();
      MemoryContextReset(batch);
    }
  }
  CloseJournalAppender(appender);
  return events;
}

void PreCommit() {
  past_pre_commit = true;
  if (LogIsEmpty()) {
    DropLog(true);  // it may have spilled what a savepoint then took back
    return;
  }
  // Made once: a context of its own would cost a small transaction more than what it allocates.
  static MemoryContext context = nullptr;
  if (context == nullptr) {
    context = AllocSetContextCreate(TopMemoryContext, "oa_sync commit", ALLOCSET_DEFAULT_SIZES);
  }
  MemoryContextReset(context);  // what a failed commit left
  const ContextSwitch in(context);
  DatabaseState* database = MyDatabaseState();
  appending_in = database;
  const Journal* journal = GetJournal();
  const uint64 epoch = CurrentEpoch(journal);
  int topic_count = 0;
  LoggedTopic* topics = CountTopics(&topic_count);
  GetCurrentTransactionId();  // a watermark belongs to a transaction that can be seen to end
  const uint64 bytes = LoggedBytes();
  Allocate(journal, topics, topic_count);
  CheckEpochStillIs(GetJournal(), epoch);
  Report(AppendPhase::kAppend, topic_count, 0);
  const uint64 events = Append(topics, topic_count, epoch);
  Report(AppendPhase::kCommit, topic_count, events);
  pg_atomic_fetch_add_u64(&database->transactions, 1);
  pg_atomic_fetch_add_u64(&database->events, events);
  pg_atomic_fetch_add_u64(&database->event_bytes, bytes);
  pg_atomic_fetch_add_u64(&database->spilled_bytes, SpilledBytes());
  DropLog(true);
  appending_in = nullptr;
  in.Back();
  MemoryContextReset(context);
}

// A conflict of SERIALIZABLE transactions, which the application repeats, often comes to light when the journal is
// written. It is not the journal's fault, and not counted as a failure to write it.
void PreCommitSerializable() {
  PG_TRY();
  { PreCommit(); }
  PG_CATCH();
  {
    if (geterrcode() == ERRCODE_T_R_SERIALIZATION_FAILURE) appending_in = nullptr;
    PG_RE_THROW();
  }
  PG_END_TRY();
}

void OnTransaction(XactEvent event, void*) {
  switch (event) {
    case XACT_EVENT_PRE_COMMIT:
      IsolationIsSerializable() ? PreCommitSerializable() : PreCommit();
      break;
    case XACT_EVENT_PRE_PREPARE:
      if (!LogIsEmpty()) {
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("cannot PREPARE a transaction that has written to a table published by oa_sync"),
                        errdetail("Its events take their place when it commits, and a prepared transaction may wait "
                                  "for ever."),
                        errhint("COMMIT it in one phase.")));
      }
      break;
    case XACT_EVENT_COMMIT:
    case XACT_EVENT_ABORT:
    case XACT_EVENT_PREPARE:
      ReleaseTopics(event != XACT_EVENT_ABORT);
      DropLog(false);
      EndProgress();
      past_pre_commit = false;
      if (appending_in != nullptr && event == XACT_EVENT_ABORT) {
        pg_atomic_fetch_add_u64(&appending_in->write_failures, 1);
      }
      appending_in = nullptr;
      OnTransactionEnd(event == XACT_EVENT_COMMIT);
      break;
    case XACT_EVENT_PARALLEL_PRE_COMMIT:
    case XACT_EVENT_PARALLEL_COMMIT:
    case XACT_EVENT_PARALLEL_ABORT:
      break;
  }
}

void OnSubtransaction(SubXactEvent event, SubTransactionId mine, SubTransactionId, void*) {
  switch (event) {
    case SUBXACT_EVENT_START_SUB:
      BeginSubLog(mine);
      break;
    case SUBXACT_EVENT_COMMIT_SUB:
      CommitSubLog(mine);
      break;
    case SUBXACT_EVENT_ABORT_SUB:
      AbortSubLog(mine);
      ForgetTruncate();
      break;
    case SUBXACT_EVENT_PRE_COMMIT_SUB:
      break;
  }
}

}  // namespace

void InstallCommit() {
  RegisterXactCallback(OnTransaction, nullptr);
  RegisterSubXactCallback(OnSubtransaction, nullptr);
}

void CheckMayCapture() {
  if (!past_pre_commit) return;
  ereport(ERROR, (errcode(ERRCODE_INVALID_TRANSACTION_STATE),
                  errmsg("cannot capture an event while its transaction is committing"),
                  errdetail("Another extension wrote to a published table after oa_sync had appended the "
                            "transaction's events."),
                  errhint("List oa_sync first in shared_preload_libraries.")));
}

}  // namespace oasync
