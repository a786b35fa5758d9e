#include "head_keeper.h"

#include "pg.h"

extern "C" {
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
}

#include "journal.h"
#include "topic_heads.h"
#include "void_filler.h"
#include "worker.h"

namespace oasync {
namespace {

struct Head {
  char name[kMaxTopicBytes];  // the hash key, zero padded
  uint64 head;
  bool open;  // a range of it is not filled yet
};

HTAB* heads = nullptr;  // topic → Head, between the transactions of one PersistHeads

void MakeKey(char* key, std::string_view topic) {
  memset(key, 0, kMaxTopicBytes);
  memcpy(key, topic.data(), topic.size());
}

Head* FindHead(std::string_view topic, HASHACTION action) {
  char key[kMaxTopicBytes];
  MakeKey(key, topic);
  return static_cast<Head*>(hash_search(heads, key, action, nullptr));
}

void Collect() {
  VisitHotTopics(
      GetJournal()->journal,
      [](TopicEntry* topic, void*) {
        const uint64 head = pg_atomic_read_u64(&topic->head);
        if (head == pg_atomic_read_u64(&topic->persisted)) return;
        Head* entry = FindHead(topic->name(), HASH_ENTER);
        entry->head = head;
        entry->open = false;
      },
      nullptr);
}

// After the transactions of that moment have ended: a topic is dense to the collected head unless a range waits.
void MarkOpen() {
  VisitHotTopics(
      GetJournal()->journal,
      [](TopicEntry* topic, void*) {
        if (pg_atomic_read_u32(&topic->pending_voids) == 0 && pg_atomic_read_u32(&topic->holes) == 0) return;
        if (Head* entry = FindHead(topic->name(), HASH_FIND); entry != nullptr) entry->open = true;
      },
      nullptr);
}

void Write() {
  MarkOpen();
  const long n = hash_get_num_entries(heads);
  auto* marks = static_cast<TopicMark*>(
      MemoryContextAllocHuge(CurrentMemoryContext, sizeof(TopicMark) * static_cast<Size>(n + 1)));
  int count = 0;
  HASH_SEQ_STATUS all;
  hash_seq_init(&all, heads);
  while (const auto* entry = static_cast<const Head*>(hash_seq_search(&all))) {
    if (entry->open) continue;
    TopicMark& mark = marks[count++];
    mark = {{}, static_cast<int64>(entry->head + 1), 0, 0};
    memcpy(mark.name, entry->name, kMaxTopicBytes);
  }
  WriteTopicMarks(marks, count);
}

void MarkPersisted() {
  VisitHotTopics(
      GetJournal()->journal,
      [](TopicEntry* topic, void*) {
        const Head* entry = FindHead(topic->name(), HASH_FIND);
        if (entry != nullptr && !entry->open) pg_atomic_write_u64(&topic->persisted, entry->head);
      },
      nullptr);
}

}  // namespace

bool KnowsFloors() { return get_attnum(GetJournal()->sequences, "floor_epoch") > 0; }

int64 WriteTopicMarks(const TopicMark* marks, int count) {
  if (count == 0) return 0;
  constexpr int kColumns = 4;
  Datum* columns[kColumns];
  for (Datum*& column : columns) {
    column =
        static_cast<Datum*>(MemoryContextAllocHuge(CurrentMemoryContext, sizeof(Datum) * static_cast<Size>(count)));
  }
  for (int i = 0; i < count; ++i) {
    const TopicMark& mark = marks[i];
    columns[0][i] =
        PointerGetDatum(cstring_to_text_with_len(mark.name, static_cast<int>(strnlen(mark.name, kMaxTopicBytes))));
    columns[1][i] = Int64GetDatum(mark.next);
    columns[2][i] = Int64GetDatum(mark.floor);
    columns[3][i] = Int64GetDatum(mark.floor_epoch);
  }
  Oid types[kColumns] = {TEXTARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID};
  Datum values[kColumns] = {PointerGetDatum(construct_array(columns[0], count, TEXTOID, -1, false, TYPALIGN_INT))};
  for (int i = 1; i < kColumns; ++i) {
    values[i] = PointerGetDatum(construct_array(columns[i], count, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
  }
  const char* table = quote_qualified_identifier(get_namespace_name(GetJournal()->schema), "sync_topic_sequences");
  const char* sql = psprintf(
      "INSERT INTO %s AS s (topic, next_watermark, floor, floor_epoch) "
      "SELECT * FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3), "
      "pg_catalog.unnest($4)) AS u(t, n, f, e) ORDER BY t "
      "ON CONFLICT (topic) DO UPDATE SET next_watermark = greatest(s.next_watermark, excluded.next_watermark), "
      "floor = greatest(s.floor, excluded.floor), "
      "floor_epoch = CASE WHEN s.floor < excluded.floor THEN excluded.floor_epoch ELSE s.floor_epoch END, "
      "updated_at = pg_catalog.now() WHERE s.next_watermark < excluded.next_watermark OR s.floor < excluded.floor",
      table);
  if (!KnowsFloors()) {
    sql = psprintf(
        "INSERT INTO %s AS s (topic, next_watermark) SELECT t, n FROM ROWS FROM (pg_catalog.unnest($1), "
        "pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4)) AS u(t, n, f, e) ORDER BY t "
        "ON CONFLICT (topic) DO UPDATE SET next_watermark = excluded.next_watermark, updated_at = pg_catalog.now() "
        "WHERE s.next_watermark < excluded.next_watermark",
        table);
  }
  SPI_connect();
  PushActiveSnapshot(GetTransactionSnapshot());
  if (SPI_execute_with_args(sql, kColumns, types, values, nullptr, false, 0) != SPI_OK_INSERT) {
    elog(ERROR, "could not persist heads and floors");
  }
  const auto changed = static_cast<int64>(SPI_processed);
  PopActiveSnapshot();
  SPI_finish();
  return changed;
}

void PersistHeads() {
  DatabaseState* database = MyDatabaseState();
  if (!database->recovered) return;
  if (heads != nullptr) hash_destroy(heads);
  HASHCTL control = {};
  control.keysize = kMaxTopicBytes;
  control.entrysize = sizeof(Head);
  control.hcxt = TopMemoryContext;
  heads = hash_create("oa_sync heads", 1024, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
  if (RunInTransaction("collect heads", Collect) &&
      (hash_get_num_entries(heads) == 0 || (AwaitAllocators(2000) && RunInTransaction("persist heads", Write) &&
                                            RunInTransaction("note persisted heads", MarkPersisted)))) {
    database->checkpoint_at = GetCurrentTimestamp();
  }
  hash_destroy(heads);
  heads = nullptr;
}

}  // namespace oasync
