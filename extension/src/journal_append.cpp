#include "journal_append.h"

extern "C" {
#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "executor/executor.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/xid8.h"
}

namespace oasync {

constexpr int kBatchRows = 256;
constexpr Size kBatchBytes = 1024 * 1024;  // or work_mem, if that is less

// Most transactions append one row, and most partitions have one index. Both have a path of their own, which saves a
// third of what an append costs: no slot, no ResultRelInfo, no IndexInfo.
struct JournalAppender {
  Relation rel;
  Relation place;         // the index on (topic, watermark), when it is the only one
  ResultRelInfo* result;  // all indexes, when there are others
  EState* estate;         // only when one of them has expressions or a predicate
  TupleDesc form;         // what tuples are formed by: see FormFor
  Datum op_texts[5];
  Datum txid;
  TimestampTz appended_at;
  int count;
  Size bytes;                           // of the payloads in the batch
  Datum first_values[kJournalColumns];  // the batch's first row, until there is a second one
  bool first_isnull[kJournalColumns];
  int slots_made;
  TupleTableSlot** slots;  // kBatchRows places
};

namespace {

// Opens the partition for `when`, passing over one that was dropped meanwhile.
Relation OpenPartition(TimestampTz when) {
  for (int attempt = 0; attempt < 10; ++attempt) {
    // A transaction that sat idle has not heard of the partitions that were attached meanwhile.
    AcceptInvalidationMessages();
    const Oid relid = PartitionFor(GetJournal(), when)->relid;
    Relation rel = try_table_open(relid, RowExclusiveLock);
    // Where the lock was waited for, a partition may have been attached that is the right one now.
    if (rel != nullptr && rel->rd_rel->relispartition && PartitionFor(GetJournal(), when)->relid == relid) {
      CheckJournalColumns(relid, RelationGetDescr(rel));
      return rel;
    }
    if (rel != nullptr) table_close(rel, RowExclusiveLock);
  }
  ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE), errmsg("the journal's partitions change too fast to append to"),
                  errhint("Retry the transaction.")));
}

bool HasPlainIndexes(const ResultRelInfo* result) {
  for (int i = 0; i < result->ri_NumIndices; ++i) {
    const IndexInfo* info = result->ri_IndexRelationInfo[i];
    if (info->ii_Expressions != NIL || info->ii_Predicate != NIL) return false;
  }
  return true;
}

// True when the index is the unique B-tree on (topic, watermark) and takes entries.
bool IsPlaceIndex(Relation index) {
  const FormData_pg_index* form = index->rd_index;
  return index->rd_rel->relam == BTREE_AM_OID && form->indisunique && form->indisready && form->indnatts == 2 &&
         form->indkey.values[0] == kColTopic && form->indkey.values[1] == kColWatermark;
}

void OpenIndexes(JournalAppender* appender) {
  List* indexes = RelationGetIndexList(appender->rel);
  if (list_length(indexes) == 1) {
    appender->place = index_open(linitial_oid(indexes), RowExclusiveLock);
    if (IsPlaceIndex(appender->place)) {
      list_free(indexes);
      return;
    }
    index_close(appender->place, NoLock);
    appender->place = nullptr;
  }
  list_free(indexes);
  appender->result = makeNode(ResultRelInfo);
  InitResultRelInfo(appender->result, appender->rel, 0, nullptr, 0);
  ExecOpenIndices(appender->result, false);
  if (!HasPlainIndexes(appender->result)) appender->estate = CreateExecutorState();
}

void InsertPlace(JournalAppender* appender, Datum topic, Datum watermark, ItemPointer tid) {
  static IndexInfo unused;  // a B-tree asks nothing of it
  Datum values[2] = {topic, watermark};
  bool isnull[2] = {false, false};
  index_insert(appender->place, values, isnull, tid, appender->rel, UNIQUE_CHECK_YES, false, &unused);
}

void InsertPlainIndexEntries(const JournalAppender* appender, TupleTableSlot* slot) {
  const ResultRelInfo* result = appender->result;
  Datum values[INDEX_MAX_KEYS];
  bool isnull[INDEX_MAX_KEYS];
  for (int i = 0; i < result->ri_NumIndices; ++i) {
    Relation index = result->ri_IndexRelationDescs[i];
    IndexInfo* info = result->ri_IndexRelationInfo[i];
    if (!info->ii_ReadyForInserts) continue;
    FormIndexDatum(info, slot, nullptr, values, isnull);
    index_insert(index, values, isnull, &slot->tts_tid, appender->rel,
                 info->ii_Unique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO, false, info);
  }
}

void InsertIndexEntries(JournalAppender* appender, TupleTableSlot* slot) {
  if (appender->place != nullptr) {
    bool isnull = false;
    InsertPlace(appender, slot_getattr(slot, kColTopic, &isnull), slot_getattr(slot, kColWatermark, &isnull),
                &slot->tts_tid);
    return;
  }
  if (appender->estate == nullptr) {
    InsertPlainIndexEntries(appender, slot);
    return;
  }
  List* recheck = ExecInsertIndexTuples(appender->result, slot, appender->estate, false, false, nullptr, NIL
#if PG_VERSION_NUM >= 160000
                                        ,
                                        false
#endif
  );
  list_free(recheck);
  ResetPerTupleExprContext(appender->estate);
}

// A row without a traceparent is stored as if the column, which is the last one, had been added after it: nobody pays
// for it. A null in its place would take eight bytes of each row and of its WAL, for a bitmap of nulls that most rows
// otherwise don't have.
TupleDesc FormFor(const JournalAppender* appender, bool traces) {
  TupleDesc all = RelationGetDescr(appender->rel);
  // An index of somebody's own may look at any column of what is inserted.
  if (traces || appender->place == nullptr || all->natts == kJournalColumnsOf040) return all;
  static TupleDesc without = nullptr;  // the same for every partition: CheckJournalColumns
  if (without == nullptr) {
    const ContextSwitch in(TopMemoryContext);
    TupleDesc made = CreateTemplateTupleDesc(kJournalColumnsOf040);
    for (AttrNumber i = 1; i <= kJournalColumnsOf040; ++i) TupleDescCopyEntry(made, i, all, i);
    without = made;
    in.Back();
  }
  return without;
}

// The slot of the batch's row `at`, empty.
TupleTableSlot* SlotAt(JournalAppender* appender, int at) {
  if (appender->slots == nullptr) {
    appender->slots = static_cast<TupleTableSlot**>(palloc(sizeof(TupleTableSlot*) * kBatchRows));
  }
  if (at == appender->slots_made) {
    appender->slots[appender->slots_made++] =
        MakeSingleTupleTableSlot(appender->form, table_slot_callbacks(appender->rel));
  }
  return ExecClearTuple(appender->slots[at]);
}

void FillValues(JournalAppender* appender, const JournalAppendRow& row, Datum* columns, bool* isnull) {
  Datum& op = appender->op_texts[static_cast<int>(row.op)];
  if (op == 0) {
    const std::string_view name = OpName(row.op);
    op = PointerGetDatum(cstring_to_text_with_len(name.data(), static_cast<int>(name.size())));
  }
  Datum* values = columns - 1;
  values[kColTopic] = row.topic;
  values[kColWatermark] = Int64GetDatum(static_cast<int64>(row.watermark));
  values[kColEpoch] = Int64GetDatum(static_cast<int64>(row.epoch));
  values[kColDocKey] = row.doc_key;
  values[kColDocVersion] = Int64GetDatum(row.doc_version);
  values[kColOp] = op;
  values[kColPayload] = row.payload;
  values[kColPayloadHash] = row.payload_hash;
  values[kColTxid] = appender->txid;
  values[kColInsertedAt] = TimestampTzGetDatum(appender->appended_at);
  memset(isnull, 0, sizeof(bool) * kJournalColumnsOf040);
  isnull[kColPayload - 1] = !row.has_payload;
  if (appender->form->natts < kColTraceparent) return;
  values[kColTraceparent] = row.traceparent;
  isnull[kColTraceparent - 1] = !row.has_traceparent;
}

void MoveFirstToSlot(JournalAppender* appender) {
  TupleTableSlot* slot = SlotAt(appender, 0);
  const auto columns = static_cast<Size>(appender->form->natts);
  memcpy(slot->tts_values, appender->first_values, sizeof(Datum) * columns);
  memcpy(slot->tts_isnull, appender->first_isnull, sizeof(bool) * columns);
  ExecStoreVirtualTuple(slot);
}

// The journal's partitions are heaps: logical decoding reads nothing else.
void InsertOne(JournalAppender* appender) {
  HeapTuple tuple = heap_form_tuple(appender->form, appender->first_values, appender->first_isnull);
  heap_insert(appender->rel, tuple, GetCurrentCommandId(true), 0, nullptr);
  InsertPlace(appender, appender->first_values[kColTopic - 1], appender->first_values[kColWatermark - 1],
              &tuple->t_self);
  heap_freetuple(tuple);
}

void InsertMany(JournalAppender* appender) {
  const CommandId command = GetCurrentCommandId(true);
  // heap_multi_insert() leaves 2 kB behind with each call, and what it toasted: 80 MB and more in ten million rows.
  static MemoryContext leavings = nullptr;
  if (leavings == nullptr) {
    leavings = AllocSetContextCreate(TopMemoryContext, "oa_sync journal batch", ALLOCSET_DEFAULT_SIZES);
  }
  MemoryContextReset(leavings);  // what a failed append left
  const ContextSwitch in(leavings);
  // No bulk-insert state: its small ring of buffers would have this backend write its own dirty pages, and flush WAL
  // before them, in the middle of the commit. Measured: a third of the time of a large one.
  table_multi_insert(appender->rel, appender->slots, appender->count, command, 0, nullptr);
  for (int i = 0; i < appender->count; ++i) {
    InsertIndexEntries(appender, appender->slots[i]);
    ExecClearTuple(appender->slots[i]);
  }
  in.Back();
  MemoryContextReset(leavings);
}

}  // namespace

JournalAppender* OpenJournalAppender(bool traces) {
  auto* appender = static_cast<JournalAppender*>(palloc0(sizeof(JournalAppender)));
  appender->appended_at = GetCurrentTimestamp();
  appender->rel = OpenPartition(appender->appended_at);
  OpenIndexes(appender);
  appender->form = FormFor(appender, traces);
  appender->txid = FullTransactionIdGetDatum(GetTopFullTransactionId());
  return appender;
}

bool AddJournalRow(JournalAppender* appender, const JournalAppendRow& row) {
  if (appender->count == 0) {
    FillValues(appender, row, appender->first_values, appender->first_isnull);
  } else {
    if (appender->count == 1) MoveFirstToSlot(appender);
    TupleTableSlot* slot = SlotAt(appender, appender->count);
    FillValues(appender, row, slot->tts_values, slot->tts_isnull);
    ExecStoreVirtualTuple(slot);
  }
  if (row.has_payload) appender->bytes += VARSIZE_ANY(DatumGetPointer(row.payload));
  return ++appender->count == kBatchRows || appender->bytes >= Min(kBatchBytes, static_cast<Size>(work_mem) * 1024);
}

void FlushJournal(JournalAppender* appender) {
  if (appender->count == 0) return;
  if (appender->count == 1 && appender->place != nullptr) {
    InsertOne(appender);
  } else {
    if (appender->count == 1) MoveFirstToSlot(appender);
    InsertMany(appender);
  }
  appender->count = 0;
  appender->bytes = 0;
  CHECK_FOR_INTERRUPTS();
}

void CloseJournalAppender(JournalAppender* appender) {
  FlushJournal(appender);
  for (int i = 0; i < appender->slots_made; ++i) ExecDropSingleTupleTableSlot(appender->slots[i]);
  if (appender->place != nullptr) index_close(appender->place, NoLock);
  if (appender->result != nullptr) ExecCloseIndices(appender->result);
  if (appender->estate != nullptr) FreeExecutorState(appender->estate);
  table_close(appender->rel, NoLock);
}

}  // namespace oasync
