// What a DBA sees: sync_topic_states() behind the view sync_topics, sync_statistics() behind sync_stats.
#include "pg.h"

extern "C" {
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/snapmgr.h"
}

#include "epoch.h"
#include "journal_scan.h"
#include "policy.h"
#include "result_set.h"
#include "shared_state.h"
#include "topic_heads.h"

namespace oasync {
namespace {

struct ListedTopic {
  char name[kMaxTopicBytes];  // the hash key, zero padded
  std::string_view view() const { return {name, strnlen(name, kMaxTopicBytes)}; }
};

void AddName(std::string_view topic, void* names) {
  char key[kMaxTopicBytes] = {};
  memcpy(key, topic.data(), Min(topic.size(), kMaxTopicBytes));
  hash_search(static_cast<HTAB*>(names), key, HASH_ENTER, nullptr);
}

HTAB* JournalTopics() {
  HASHCTL control = {};
  control.keysize = kMaxTopicBytes;
  control.entrysize = sizeof(ListedTopic);
  control.hcxt = CurrentMemoryContext;
  HTAB* names = hash_create("oa_sync topics", 1024, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
  const Journal* journal = GetJournal();
  const int n = journal->partition_count;
  auto* partitions = static_cast<JournalPartition*>(palloc(sizeof(JournalPartition) * static_cast<Size>(n + 1)));
  memcpy(partitions, journal->partitions, sizeof(JournalPartition) * static_cast<Size>(n));
  for (int i = 0; i < n; ++i) VisitPartitionTopics(partitions[i], GetActiveSnapshot(), AddName, names);
  VisitSequenceTopics(GetActiveSnapshot(), AddName, names);
  return names;
}

// In days and hours, as one would say it.
Datum UsToInterval(int64 us) {
  auto* interval = static_cast<Interval*>(palloc0(sizeof(Interval)));
  interval->time = us;
  return DirectFunctionCall1(interval_justify_hours, IntervalPGetDatum(interval));
}

// Columns that the SQL function of an earlier version does not have are at the end, and not looked at.
void PutTopic(ReturnSetInfo* set, std::string_view topic, int64 epoch) {
  int64 next = 1;
  int64 floor = 0;
  const int64 allocated = AllocatedHead(GetJournal()->journal, topic);
  const JournalRange range = ReadJournalRange(topic, GetActiveSnapshot(), true);
  ReadTopicSequence(topic, GetActiveSnapshot(), &next, &floor);
  const int64 head = Max(range.newest, next - 1);
  const int64 horizon = PolicyOf(topic)->horizon_us;
  Datum values[9] = {
      PointerGetDatum(cstring_to_text_with_len(topic.data(), static_cast<int>(topic.size()))),
      Int64GetDatum(head),
      Int64GetDatum(floor),
      Int64GetDatum(range.oldest),
      Int64GetDatum(range.oldest == 0 ? 0 : range.newest - Max(range.oldest - 1, floor)),
      Int64GetDatum(Max(allocated - head, 0)),
      Int64GetDatum(epoch),
      TimestampTzGetDatum(range.oldest_at),
      UsToInterval(horizon),
  };
  bool isnull[9] = {};
  isnull[3] = isnull[7] = range.oldest == 0;
  isnull[8] = horizon == kNoLimit;
  tuplestore_putvalues(set->setResult, set->setDesc, values, isnull);
}

struct HotCount {
  int64 topics;
  int64 pending;
};

HotCount CountHot() {
  HotCount count = {};
  LWLockAcquire(shared->voids_lock, LW_SHARED);
  for (int i = 0; i < shared->void_count; ++i) {
    if (shared->voids[i].topic->database == MyDatabaseId) count.pending += static_cast<int64>(shared->voids[i].count);
  }
  LWLockRelease(shared->voids_lock);
  for (uint32 p = 0; p < kTopicPartitions; ++p) {
    LWLockAcquire(shared->topics[p].lock, LW_SHARED);
    for (uint32 e = 0; e < shared->entry_count; ++e) {
      const TopicEntry& entry = shared->topics[p].entries[e];
      count.topics += entry.state == TopicState::kReady && entry.database == MyDatabaseId;
    }
    LWLockRelease(shared->topics[p].lock);
  }
  return count;
}

Datum Counter(pg_atomic_uint64* counter) { return Int64GetDatum(static_cast<int64>(pg_atomic_read_u64(counter))); }

}  // namespace
extern "C" {

PG_FUNCTION_INFO_V1(sync_topic_states);
PG_FUNCTION_INFO_V1(sync_statistics);
PG_FUNCTION_INFO_V1(sync_current_epoch);
PG_FUNCTION_INFO_V1(oa_sync_write_failures);

Datum sync_topic_states(PG_FUNCTION_ARGS) {
  ReturnSetInfo* set = BeginSet(fcinfo);
  HTAB* names = JournalTopics();
  const auto epoch = static_cast<int64>(ReadNewestEpoch(GetJournal()));
  MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "oa_sync topic", ALLOCSET_DEFAULT_SIZES);
  HASH_SEQ_STATUS all;
  hash_seq_init(&all, names);
  while (const auto* topic = static_cast<const ListedTopic*>(hash_seq_search(&all))) {
    CHECK_FOR_INTERRUPTS();
    const ContextSwitch in(context);
    PutTopic(set, topic->view(), epoch);
    in.Back();
    MemoryContextReset(context);
  }
  return static_cast<Datum>(0);
}

Datum sync_statistics(PG_FUNCTION_ARGS) {
  TupleDesc desc = nullptr;
  if (get_call_result_type(fcinfo, nullptr, &desc) != TYPEFUNC_COMPOSITE) elog(ERROR, "a row type was expected");
  const Journal* journal = GetJournal();
  DatabaseState* state = MyDatabaseState();
  const HotCount hot = CountHot();
  LWLockAcquire(shared->databases_lock, LW_SHARED);
  const RetentionCycle retention = state->retention;
  LWLockRelease(shared->databases_lock);
  // Columns that the SQL function of an earlier version does not have are at the end, and not looked at.
  Datum values[26] = {
      Int64GetDatum(static_cast<int64>(ReadNewestEpoch(journal))),
      Int32GetDatum(state->worker_pid),
      BoolGetDatum(state->recovered),
      TimestampTzGetDatum(state->checkpoint_at),
      Int32GetDatum(journal->partition_count),
      Int64GetDatum(hot.topics),
      Counter(&state->heads_loaded),
      Counter(&shared->evictions),
      Counter(&state->transactions),
      Counter(&state->events),
      Counter(&state->event_bytes),
      Counter(&state->spilled_bytes),
      Counter(&state->voids_queued),
      Counter(&state->voids_filled),
      Int64GetDatum(hot.pending),
      Counter(&state->retention_cycles),
      Counter(&state->partitions_dropped),
      Counter(&state->bytes_dropped),
      Counter(&state->floors_raised),
      Counter(&state->retention_skipped),
      TimestampTzGetDatum(retention.started_at),
      Float8GetDatum(static_cast<double>(retention.duration_us) / 1000.0),
      Counter(&state->documents_written),
      Counter(&state->documents_stale),
      Counter(&state->documents_unchanged),
      Counter(&state->documents_drifted),
  };
  bool isnull[26] = {};
  isnull[20] = isnull[21] = retention.started_at == 0;
  isnull[1] = state->worker_pid == 0;
  isnull[3] = state->checkpoint_at == 0;
  PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, isnull)));
}

Datum oa_sync_write_failures(PG_FUNCTION_ARGS) { return Counter(&MyDatabaseState()->write_failures); }

Datum sync_current_epoch(PG_FUNCTION_ARGS) {
  (void)fcinfo;
  PG_RETURN_INT64(static_cast<int64>(ReadNewestEpoch(GetJournal())));
}
}

}  // namespace oasync
