#include "void_filler.h"

extern "C" {
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/wait_event.h"
}

#include "epoch.h"
#include "journal_append.h"
#include "journal_scan.h"
#include "payload_hash.h"
#include "restore_watch.h"
#include "settings.h"
#include "topic_heads.h"
#include "worker.h"

namespace oasync {
namespace {

constexpr uint64 kVoidsPerTransaction = 20000;
constexpr int kRangesPerTransaction = 1000;

struct TopicName {
  char name[kMaxTopicBytes];  // the hash key, zero padded
  std::string_view view() const { return {name, strnlen(name, kMaxTopicBytes)}; }
};

Datum MakeVarlena(const void* from, size_t size) {
  auto* to = static_cast<char*>(palloc(VARHDRSZ + size));
  SET_VARSIZE(to, VARHDRSZ + size);
  memcpy(VARDATA(to), from, size);
  return PointerGetDatum(to);
}

// Appends void events for the watermarks in (after, through] that the journal lacks, `limit` at most.
// Returns how many. REQUIRES that nobody who lives can still append one of them.
uint64 FillHoles(std::string_view topic, uint64 after, uint64 through, uint64 limit) {
  JournalAppendRow void_row = {};
  void_row.topic = MakeVarlena(topic.data(), topic.size());
  void_row.epoch = CurrentEpoch(GetJournal());
  void_row.doc_key = MakeVarlena("", 0);
  void_row.payload_hash = MakeVarlena(NullPayloadHash(), kHashBytes);
  void_row.op = Op::kVoid;
  JournalAppender* appender = OpenJournalAppender(false);
  JournalScan* scan = BeginJournalScan(topic, static_cast<int64>(after), nullptr);
  uint64 filled = 0;
  uint64 fork = 0;  // the first hole below an event of an earlier epoch
  uint64 next = after + 1;
  JournalRow row;
  while (next <= through && filled < limit) {
    const bool found = NextJournalRow(scan, &row);
    if (found && fork == 0 && next < static_cast<uint64>(row.watermark) &&
        static_cast<uint64>(DatumGetInt64(row.values[kColEpoch - 1])) < void_row.epoch) {
      fork = next;
    }
    const uint64 until = found ? Min(static_cast<uint64>(row.watermark), through + 1) : through + 1;
    for (; next < until && filled < limit; ++next, ++filled) {
      void_row.watermark = next;
      if (AddJournalRow(appender, void_row)) FlushJournal(appender);
    }
    // What the scan sees of our own voids only comes behind `next`.
    if (found && next == static_cast<uint64>(row.watermark)) ++next;
    if (!found) break;
  }
  EndJournalScan(scan);
  CloseJournalAppender(appender);
  if (fork != 0) NoteFork(GetJournal(), topic, void_row.epoch, fork);
  return filled;
}

// --- queued ranges -------------------------------------------------------------------------------------------------

VoidRange taken[kRangesPerTransaction];
int taken_count = 0;
uint64 taken_filled = 0;

void TakeRanges() {
  taken_count = 0;
  uint64 total = 0;
  LWLockAcquire(shared->voids_lock, LW_SHARED);
  for (int i = 0; i < shared->void_count && taken_count < kRangesPerTransaction; ++i) {
    const VoidRange& range = shared->voids[i];
    if (range.topic->database != MyDatabaseId) continue;
    if (taken_count > 0 && total + range.count > kVoidsPerTransaction) break;
    total += range.count;
    taken[taken_count++] = range;
  }
  LWLockRelease(shared->voids_lock);
}

void ForgetRanges() {
  // Counted before nothing is pending any more: who waits for that reads the whole count.
  pg_atomic_fetch_add_u64(&MyDatabaseState()->voids_filled, taken_filled);
  LWLockAcquire(shared->voids_lock, LW_EXCLUSIVE);
  for (int t = 0; t < taken_count; ++t) {
    for (int i = 0; i < shared->void_count; ++i) {
      VoidRange& range = shared->voids[i];
      if (range.topic != taken[t].topic || range.first != taken[t].first) continue;
      range = shared->voids[--shared->void_count];
      pg_atomic_fetch_sub_u32(&taken[t].topic->pending_voids, 1);
      break;
    }
  }
  LWLockRelease(shared->voids_lock);
}

void FillTakenRanges() {
  taken_filled = 0;
  for (int i = 0; i < taken_count; ++i) {
    const VoidRange& range = taken[i];
    // An entry of an extension that was dropped meanwhile: its journal is gone, and so is the hole.
    if (range.topic->journal != GetJournal()->journal) continue;
    taken_filled += FillHoles(range.topic->name(), range.first - 1, range.first + range.count - 1, PG_UINT64_MAX);
  }
}

// --- topics that overflowed the queue, and crash recovery ---------------------------------------------------------

struct HoleyTopic {
  TopicName name;
  uint64 after;
  uint64 through;
  uint32 holes;
};
HoleyTopic* holey = nullptr;  // in TopMemoryContext, between transactions
int holey_count = 0;
int holey_cap = 0;

void NoteHoley(std::string_view topic, uint64 after, uint64 through, uint32 holes) {
  if (holey_count == holey_cap) {
    holey_cap = holey_cap == 0 ? 64 : holey_cap * 2;
    const Size size = sizeof(HoleyTopic) * static_cast<Size>(holey_cap);
    holey = static_cast<HoleyTopic*>(holey == nullptr ? MemoryContextAllocHuge(TopMemoryContext, size)
                                                      : repalloc_huge(holey, size));
  }
  HoleyTopic& noted = holey[holey_count++];
  noted = {{}, after, through, holes};
  memcpy(noted.name.name, topic.data(), topic.size());
}

// The topic that FillNextHoley works on.
int filling = 0;
uint64 filled_now = 0;

void FillNextHoley() {
  const HoleyTopic& topic = holey[filling];
  // Below what is persisted there are no holes, and below the floor nobody looks.
  int64 next = 1;
  int64 floor = 0;
  ReadTopicSequence(topic.name.view(), nullptr, &next, &floor);
  const uint64 dense = static_cast<uint64>(Max(next - 1, floor));
  filled_now = FillHoles(topic.name.view(), Max(topic.after, dense), topic.through, kVoidsPerTransaction);
}

// Fills holey[filling], in as many transactions as it takes.
bool FillHoleyTopic() {
  do {
    if (!RunInTransaction("fill voids", FillNextHoley)) return false;
    pg_atomic_fetch_add_u64(&MyDatabaseState()->voids_filled, filled_now);
  } while (filled_now == kVoidsPerTransaction);
  return true;
}

void CollectOverflowed() {
  VisitHotTopics(
      GetJournal()->journal,
      [](TopicEntry* topic, void*) {
        const uint32 holes = pg_atomic_read_u32(&topic->holes);
        if (holes == 0) return;
        // Everything to the present head: AwaitAllocators then lets it settle.
        NoteHoley(topic->name(), pg_atomic_read_u64(&topic->persisted), pg_atomic_read_u64(&topic->head), holes);
      },
      nullptr);
}

void ClearOverflow() {
  VisitHotTopics(
      GetJournal()->journal,
      [](TopicEntry* topic, void*) {
        const HoleyTopic& done = holey[filling];
        if (topic->name() != done.name.view()) return;
        uint32 expected = done.holes;
        pg_atomic_compare_exchange_u32(&topic->holes, &expected, 0);
      },
      nullptr);
}

HTAB* journal_topics = nullptr;

void CollectJournalTopics() {
  if (journal_topics != nullptr) hash_destroy(journal_topics);
  HASHCTL control = {};
  control.keysize = kMaxTopicBytes;
  control.entrysize = sizeof(TopicName);
  control.hcxt = TopMemoryContext;
  journal_topics = hash_create("oa_sync journal topics", 1024, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
  const Journal* journal = GetJournal();
  const int n = journal->partition_count;
  auto* partitions = static_cast<JournalPartition*>(palloc(sizeof(JournalPartition) * static_cast<Size>(n + 1)));
  memcpy(partitions, journal->partitions, sizeof(JournalPartition) * static_cast<Size>(n));
  for (int i = 0; i < n; ++i) {
    VisitPartitionTopics(
        partitions[i], nullptr,
        [](std::string_view topic, void*) {
          char key[kMaxTopicBytes] = {};
          memcpy(key, topic.data(), topic.size());
          hash_search(journal_topics, key, HASH_ENTER, nullptr);
        },
        nullptr);
  }
}

// Notes the topics of the journal that are not dense above what was persisted.
void CollectHoleyTopics() {
  CollectJournalTopics();
  MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "oa_sync recovery", ALLOCSET_DEFAULT_SIZES);
  HASH_SEQ_STATUS all;
  hash_seq_init(&all, journal_topics);
  while (const auto* topic = static_cast<const TopicName*>(hash_seq_search(&all))) {
    CHECK_FOR_INTERRUPTS();
    const ContextSwitch in(context);
    int64 next = 1;
    int64 floor = 0;
    ReadTopicSequence(topic->view(), nullptr, &next, &floor);
    const int64 dense = Max(next - 1, floor);
    int64 rows = 0;
    int64 last = dense;
    JournalScan* scan = BeginJournalScan(topic->view(), dense, nullptr);
    JournalRow row;
    while (NextJournalRow(scan, &row)) {
      ++rows;
      last = row.watermark;
    }
    EndJournalScan(scan);
    in.Back();
    MemoryContextReset(context);
    if (last - dense != rows) NoteHoley(topic->view(), static_cast<uint64>(dense), 0, 0);
  }
  hash_destroy(journal_topics);
  journal_topics = nullptr;
  MemoryContextDelete(context);
}

// What is open at or below the head at which the topic became hot belongs to nobody who lives.
void BoundNextHoley() {
  HoleyTopic& topic = holey[filling];
  topic.through = PinTopic(GetJournal()->journal, topic.name.view(), ReadDurableHead).topic->loaded_head;
}

}  // namespace

bool AwaitAllocators(int timeout_ms) {
  const int n = MaxBackends + 1;
  auto* seen = static_cast<uint64*>(palloc(sizeof(uint64) * static_cast<Size>(n)));
  for (int i = 0; i < n; ++i) seen[i] = pg_atomic_read_u64(&shared->slots[i].sequence);
  const TimestampTz began = GetCurrentTimestamp();
  bool settled = true;
  bool woken = false;
  for (int i = 0; i < n && settled; ++i) {
    if (seen[i] % 2 == 0) continue;
    while (pg_atomic_read_u64(&shared->slots[i].sequence) == seen[i]) {
      CHECK_FOR_INTERRUPTS();
      if (HasPassed(began, timeout_ms)) {
        settled = false;
        break;
      }
      // Commits do not signal: look again shortly. Those that fail do, and their voids are not to wait for this.
      const int events = WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 2, PG_WAIT_EXTENSION);
      if ((events & WL_LATCH_SET) == 0) continue;
      ResetLatch(MyLatch);
      woken = true;
      while (FillQueuedVoids()) CHECK_FOR_INTERRUPTS();
    }
  }
  if (woken) SetLatch(MyLatch);  // whatever else it was for
  pfree(seen);
  return settled;
}

bool FillQueuedVoids() {
  TakeRanges();
  if (taken_count == 0) return false;
  if (!RunInTransaction("fill voids", FillTakenRanges)) return false;
  ForgetRanges();
  return true;
}

void FillOverflowedTopics() {
  static uint64 handled = 0;
  const uint64 overflows = pg_atomic_read_u64(&shared->overflows);
  if (overflows == handled) return;
  holey_count = 0;
  if (!RunInTransaction("look for overflowed topics", CollectOverflowed)) return;
  bool complete = holey_count == 0 || AwaitAllocators(60000);
  for (filling = 0; complete && filling < holey_count; ++filling) {
    complete = FillHoleyTopic() && RunInTransaction("clear an overflowed topic", ClearOverflow);
  }
  if (complete) handled = overflows;
}

void FillHolesAfterCrash() {
  DatabaseState* database = MyDatabaseState();
  if (database->recovered || !RestoreHasSettled()) return;
  holey_count = 0;
  if (!RunInTransaction("look for holes", CollectHoleyTopics)) return;
  bool complete = true;
  for (filling = 0; filling < holey_count; ++filling) {
    complete &= RunInTransaction("find the head of a topic", BoundNextHoley) && FillHoleyTopic();
  }
  if (holey_count > 0) {
    ereport(LOG, (errmsg("oa_sync filled the holes that a crash left in %d topics", holey_count)));
  }
  database->recovered = complete;
}

}  // namespace oasync
