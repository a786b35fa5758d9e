#include "journal_scan.h"

extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"
}

namespace oasync {
namespace {

SnapshotData self_snapshot;

Snapshot OrSelf(Snapshot snapshot) {
  if (snapshot != nullptr) return snapshot;
  InitDirtySnapshot(self_snapshot);
  self_snapshot.snapshot_type = SNAPSHOT_SELF;
  return &self_snapshot;
}

bool IsUniqueOn(Relation index, std::initializer_list<int> columns) {
  const FormData_pg_index* form = index->rd_index;
  if (!form->indisunique || !form->indisvalid || form->indnkeyatts != static_cast<int>(columns.size())) return false;
  int i = 0;
  for (const int column : columns) {
    if (form->indkey.values[i++] != column) return false;
  }
  return true;
}

// Opens the unique index of an open relation on exactly these columns. ERROR when there is none.
Relation OpenUniqueIndex(Relation rel, std::initializer_list<int> columns) {
  List* oids = RelationGetIndexList(rel);
  ListCell* cell;
  foreach (cell, oids) {
    Relation index = index_open(lfirst_oid(cell), AccessShareLock);
    if (IsUniqueOn(index, columns)) {
      list_free(oids);
      return index;
    }
    index_close(index, AccessShareLock);
  }
  ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                  errmsg("table \"%s\" has lost its unique index", RelationGetRelationName(rel)),
                  errhint("Create a unique index on (topic, watermark), the same as on the other partitions.")));
}

void InitKey(ScanKey key, AttrNumber column, StrategyNumber strategy, Oid type, RegProcedure proc, Datum value) {
  ScanKeyEntryInitialize(key, 0, column, strategy, type, type == TEXTOID ? C_COLLATION_OID : InvalidOid, proc, value);
}

void InitTopicKey(ScanKey key, StrategyNumber strategy, RegProcedure proc, std::string_view topic) {
  InitKey(key, 1, strategy, TEXTOID, proc,
          PointerGetDatum(cstring_to_text_with_len(topic.data(), static_cast<int>(topic.size()))));
}

// An index scan of one relation, with what it needs open.
struct IndexReader {
  Relation rel = nullptr;
  Relation index = nullptr;
  IndexScanDesc scan = nullptr;
  TupleTableSlot* slot = nullptr;
  bool done = false;
};

// False when the relation is gone.
bool OpenReader(IndexReader* reader, Oid relid, std::initializer_list<int> columns, Snapshot snapshot, int nkeys) {
  reader->rel = try_relation_open(relid, AccessShareLock);
  if (reader->rel == nullptr) return false;
  reader->index = OpenUniqueIndex(reader->rel, columns);
  reader->slot = table_slot_create(reader->rel, nullptr);
  reader->scan = index_beginscan(reader->rel, reader->index, snapshot, nkeys, 0);
  return true;
}

void CloseReader(IndexReader* reader) {
  if (reader->rel == nullptr) return;
  index_endscan(reader->scan);
  ExecDropSingleTupleTableSlot(reader->slot);
  index_close(reader->index, AccessShareLock);
  relation_close(reader->rel, AccessShareLock);
  reader->rel = nullptr;
}

bool Advance(IndexReader* reader, ScanDirection direction) {
  if (!index_getnext_slot(reader->scan, direction, reader->slot)) {
    reader->done = true;
    return false;
  }
  return true;
}

int64 SlotInt8(TupleTableSlot* slot, int column) {
  bool isnull = true;
  return DatumGetInt64(slot_getattr(slot, column, &isnull));
}

// Who wrote the row; FrozenTransactionId when that is too long ago to ask about.
TransactionId SlotXmin(TupleTableSlot* slot) {
  bool should_free = false;
  return HeapTupleHeaderGetXmin(ExecFetchSlotHeapTuple(slot, false, &should_free)->t_data);
}

}  // namespace

struct JournalScan {
  int count;
  int current;  // the reader whose row was given last, -1 at first
  IndexReader* readers;
  int64* watermarks;
};

JournalScan* BeginJournalScan(std::string_view topic, int64 after, Snapshot snapshot) {
  const Journal* journal = GetJournal();
  auto* scan = static_cast<JournalScan*>(palloc0(sizeof(JournalScan)));
  scan->current = -1;
  // The cache may be read afresh while relations are opened: keep our own list.
  const int n = journal->partition_count;
  auto* parts = static_cast<Oid*>(palloc(sizeof(Oid) * static_cast<Size>(n + 1)));
  for (int i = 0; i < n; ++i) parts[i] = journal->partitions[i].relid;
  scan->readers = static_cast<IndexReader*>(palloc0(sizeof(IndexReader) * static_cast<Size>(n + 1)));
  scan->watermarks = static_cast<int64*>(palloc0(sizeof(int64) * static_cast<Size>(n + 1)));
  ScanKeyData keys[2];
  InitTopicKey(&keys[0], BTEqualStrategyNumber, F_TEXTEQ, topic);
  InitKey(&keys[1], 2, BTGreaterStrategyNumber, INT8OID, F_INT8GT, Int64GetDatum(after));
  for (int i = 0; i < n; ++i) {
    IndexReader* reader = &scan->readers[scan->count];
    *reader = IndexReader{};
    if (!OpenReader(reader, parts[i], {kColTopic, kColWatermark}, OrSelf(snapshot), 2)) continue;
    index_rescan(reader->scan, keys, 2, nullptr, 0);
    if (!Advance(reader, ForwardScanDirection)) {
      CloseReader(reader);
      continue;
    }
    CheckJournalColumns(parts[i], reader->slot->tts_tupleDescriptor);
    scan->watermarks[scan->count++] = SlotInt8(reader->slot, kColWatermark);
  }
  return scan;
}

bool NextJournalRow(JournalScan* scan, JournalRow* row) {
  if (scan->current >= 0) {
    IndexReader* reader = &scan->readers[scan->current];
    if (!reader->done && Advance(reader, ForwardScanDirection)) {
      scan->watermarks[scan->current] = SlotInt8(reader->slot, kColWatermark);
    }
  }
  int best = -1;
  for (int i = 0; i < scan->count; ++i) {
    if (scan->readers[i].done) continue;
    if (best < 0 || scan->watermarks[i] < scan->watermarks[best]) best = i;
  }
  scan->current = best;
  if (best < 0) return false;
  TupleTableSlot* slot = scan->readers[best].slot;
  slot_getallattrs(slot);
  row->watermark = scan->watermarks[best];
  row->xmin = SlotXmin(slot);
  row->values = slot->tts_values;
  row->isnull = slot->tts_isnull;
  row->columns = slot->tts_tupleDescriptor->natts;
  return true;
}

JournalValues ValuesOf(const JournalRow& row) {
  JournalValues copy = {};
  copy.isnull[kColTraceparent - 1] = true;
  const auto columns = static_cast<Size>(Min(row.columns, kJournalColumns));
  memcpy(copy.values, row.values, sizeof(Datum) * columns);
  memcpy(copy.isnull, row.isnull, sizeof(bool) * columns);
  return copy;
}

void EndJournalScan(JournalScan* scan) {
  for (int i = 0; i < scan->count; ++i) CloseReader(&scan->readers[i]);
  pfree(scan->readers);
  pfree(scan->watermarks);
  pfree(scan);
}

JournalRange ReadJournalRange(std::string_view topic, Snapshot snapshot, bool with_oldest) {
  const Journal* journal = GetJournal();
  const int n = journal->partition_count;
  auto* parts = static_cast<Oid*>(palloc(sizeof(Oid) * static_cast<Size>(n + 1)));
  for (int i = 0; i < n; ++i) parts[i] = journal->partitions[i].relid;
  ScanKeyData key;
  InitTopicKey(&key, BTEqualStrategyNumber, F_TEXTEQ, topic);
  JournalRange range = {0, 0, InvalidTransactionId, 0};
  for (int i = 0; i < n; ++i) {
    IndexReader reader;
    if (!OpenReader(&reader, parts[i], {kColTopic, kColWatermark}, OrSelf(snapshot), 1)) continue;
    index_rescan(reader.scan, &key, 1, nullptr, 0);
    if (Advance(&reader, BackwardScanDirection)) {
      if (SlotInt8(reader.slot, kColWatermark) > range.newest) {
        range.newest = SlotInt8(reader.slot, kColWatermark);
        range.newest_xmin = SlotXmin(reader.slot);
      }
      if (with_oldest) {
        index_rescan(reader.scan, &key, 1, nullptr, 0);
        const int64 first = Advance(&reader, ForwardScanDirection) ? SlotInt8(reader.slot, kColWatermark) : 0;
        if (first != 0 && (range.oldest == 0 || first < range.oldest)) {
          range.oldest = first;
          range.oldest_at = SlotInt8(reader.slot, kColInsertedAt);
        }
      }
    }
    CloseReader(&reader);
  }
  pfree(parts);
  return range;
}

bool ReadTopicFloor(std::string_view topic, Snapshot snapshot, int64* next_watermark, int64* floor,
                    int64* floor_epoch) {
  *next_watermark = 1;
  *floor = 0;
  *floor_epoch = 0;
  IndexReader reader;
  // Rows are updated here: SnapshotSelf could meet the new version before its commit and the old one after it, and see
  // neither. So "what is committed now" is a snapshot of its own.
  const Snapshot latest = snapshot == nullptr ? RegisterSnapshot(GetLatestSnapshot()) : snapshot;
  const bool open = OpenReader(&reader, GetJournal()->sequences, {1}, latest, 1);
  bool found = false;
  if (open) {
    ScanKeyData key;
    InitTopicKey(&key, BTEqualStrategyNumber, F_TEXTEQ, topic);
    index_rescan(reader.scan, &key, 1, nullptr, 0);
    found = Advance(&reader, ForwardScanDirection);
    if (found) {
      *next_watermark = SlotInt8(reader.slot, 2);
      *floor = SlotInt8(reader.slot, 3);
      // 0.1.0's table, until ALTER EXTENSION oa_sync UPDATE, has no floors above 0.
      if (RelationGetNumberOfAttributes(reader.rel) >= 5) *floor_epoch = SlotInt8(reader.slot, 5);
    }
    CloseReader(&reader);
  }
  if (snapshot == nullptr) UnregisterSnapshot(latest);
  return found;
}

bool ReadTopicSequence(std::string_view topic, Snapshot snapshot, int64* next_watermark, int64* floor) {
  int64 floor_epoch = 0;
  return ReadTopicFloor(topic, snapshot, next_watermark, floor, &floor_epoch);
}

struct JournalProbe {
  IndexReader reader;
  MemoryContext context;                // an index scan may keep what it allocates at any call
  char key[VARHDRSZ + kMaxTopicBytes];  // the topic looked for
  char topic[kMaxTopicBytes];           // that NextTopic gave
};

namespace {

JournalProbe* OpenProbe(Oid relid, std::initializer_list<int> columns) {
  auto* probe = static_cast<JournalProbe*>(palloc0(sizeof(JournalProbe)));
  probe->context = CurrentMemoryContext;
  if (OpenReader(&probe->reader, relid, columns, OrSelf(nullptr), static_cast<int>(columns.size()))) return probe;
  pfree(probe);
  return nullptr;
}

// Looks for the next row with this relation to the topic, and then watermark > after.
bool Probe(JournalProbe* probe, StrategyNumber strategy, RegProcedure proc, std::string_view topic, int64 after,
           ScanDirection direction) {
  const ContextSwitch in(probe->context);
  const Size len = Min(topic.size(), kMaxTopicBytes);
  SET_VARSIZE(probe->key, VARHDRSZ + len);
  memcpy(VARDATA(probe->key), topic.data(), len);
  ScanKeyData keys[2];
  InitKey(&keys[0], 1, strategy, TEXTOID, proc, PointerGetDatum(probe->key));
  // A scan always has the number of keys that it began with: one for sync_topic_sequences.
  InitKey(&keys[1], 2, BTGreaterStrategyNumber, INT8OID, F_INT8GT, Int64GetDatum(after));
  index_rescan(probe->reader.scan, keys, probe->reader.scan->numberOfKeys, nullptr, 0);
  const bool found = Advance(&probe->reader, direction);
  in.Back();
  return found;
}

JournalPlace PlaceOf(TupleTableSlot* slot) {
  return {SlotInt8(slot, kColWatermark), SlotInt8(slot, kColEpoch), SlotInt8(slot, kColInsertedAt)};
}

}  // namespace

JournalProbe* OpenPartitionProbe(Oid partition) { return OpenProbe(partition, {kColTopic, kColWatermark}); }

JournalProbe* OpenSequencesProbe() { return OpenProbe(GetJournal()->sequences, {1}); }

void CloseProbe(JournalProbe* probe) {
  CloseReader(&probe->reader);
  pfree(probe);
}

bool FirstPlaceAfter(JournalProbe* probe, std::string_view topic, int64 after, JournalPlace* place) {
  if (!Probe(probe, BTEqualStrategyNumber, F_TEXTEQ, topic, after, ForwardScanDirection)) return false;
  *place = PlaceOf(probe->reader.slot);
  return true;
}

bool LastPlace(JournalProbe* probe, std::string_view topic, JournalPlace* place) {
  if (!Probe(probe, BTEqualStrategyNumber, F_TEXTEQ, topic, PG_INT64_MIN, BackwardScanDirection)) return false;
  *place = PlaceOf(probe->reader.slot);
  return true;
}

std::string_view NextTopic(JournalProbe* probe, std::string_view after) {
  if (!Probe(probe, BTGreaterStrategyNumber, F_TEXT_GT, after, PG_INT64_MIN, ForwardScanDirection)) return {};
  bool isnull = true;
  const text* topic = DatumGetTextPP(slot_getattr(probe->reader.slot, kColTopic, &isnull));
  const Size len = Min(VARSIZE_ANY_EXHDR(topic), kMaxTopicBytes);
  memcpy(probe->topic, VARDATA_ANY(topic), len);
  return {probe->topic, len};
}

uint64 ReadDurableHead(std::string_view topic) {
  // A transaction that sat idle has not heard of the partitions that were attached meanwhile.
  AcceptInvalidationMessages();
  int64 next = 1;
  int64 floor = 0;
  // The journal first: retention persists a head before it drops the events.
  const int64 max = ReadJournalRange(topic, nullptr, false).newest;
  ReadTopicSequence(topic, nullptr, &next, &floor);
  return static_cast<uint64>(Max(max, Max(next - 1, floor)));
}

namespace {

// Skips from topic to topic through a unique index whose first column is the topic.
void SkipThroughTopics(Oid relid, std::initializer_list<int> columns, Snapshot snapshot, TopicNameVisitor visit,
                       void* context) {
  IndexReader reader;
  if (!OpenReader(&reader, relid, columns, OrSelf(snapshot), 1)) return;
  std::string_view last;
  char name[kMaxTopicBytes + 1] = {};
  for (;;) {
    CHECK_FOR_INTERRUPTS();
    ScanKeyData key;
    InitTopicKey(&key, BTGreaterStrategyNumber, F_TEXT_GT, last);
    index_rescan(reader.scan, &key, 1, nullptr, 0);
    if (!Advance(&reader, ForwardScanDirection)) break;
    bool isnull = true;
    const text* topic = DatumGetTextPP(slot_getattr(reader.slot, kColTopic, &isnull));
    last = {name, Min(VARSIZE_ANY_EXHDR(topic), kMaxTopicBytes)};
    memcpy(name, VARDATA_ANY(topic), last.size());
    visit(last, context);
    pfree(DatumGetPointer(key.sk_argument));
  }
  CloseReader(&reader);
}

}  // namespace

void VisitPartitionTopics(const JournalPartition& partition, Snapshot snapshot, TopicNameVisitor visit, void* context) {
  SkipThroughTopics(partition.relid, {kColTopic, kColWatermark}, snapshot, visit, context);
}

void VisitSequenceTopics(Snapshot snapshot, TopicNameVisitor visit, void* context) {
  SkipThroughTopics(GetJournal()->sequences, {1}, snapshot, visit, context);
}

}  // namespace oasync
