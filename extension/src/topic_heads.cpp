#include "topic_heads.h"

extern "C" {
#include "access/xlog.h"
#include "common/hashfn.h"
#include "storage/proc.h"
#include "utils/wait_event.h"
}

#include "settings.h"

namespace oasync {
namespace {

constexpr long kLoadPatienceMs = 1000;

// A topic that this transaction uses.
struct HeldTopic {
  TopicEntry* topic;
  uint64 first;
  uint64 count;  // 0: only pinned
};

HeldTopic* held = nullptr;  // in TopMemoryContext: it has to be there when a transaction aborts
int held_count = 0;
int held_cap = 0;
TopicEntry* loading = nullptr;  // the entry whose head this process reads now
TopicPartition* loading_in = nullptr;
bool in_commit = false;  // this backend's CommitSlot is odd

void ReserveHeld() {
  if (held_count < held_cap) return;
  const int cap = held_cap == 0 ? 64 : held_cap * 2;
  const Size size = sizeof(HeldTopic) * static_cast<Size>(cap);
  held = static_cast<HeldTopic*>(held == nullptr ? MemoryContextAllocHuge(TopMemoryContext, size)
                                                 : repalloc_huge(held, size));
  held_cap = cap;
}

uint32 HashTopic(Oid journal, std::string_view topic) {
  const uint32 name = hash_bytes(reinterpret_cast<const unsigned char*>(topic.data()), static_cast<int>(topic.size()));
  return hash_combine(hash_combine(name, MyDatabaseId), journal);
}

TopicPartition* PartitionOf(uint32 hash) { return &shared->topics[hash % kTopicPartitions]; }
int32* BucketOf(TopicPartition* part, uint32 hash) {
  return &part->buckets[(hash / kTopicPartitions) & (shared->bucket_count - 1)];
}

TopicEntry* Find(TopicPartition* part, uint32 hash, Oid journal, std::string_view topic) {
  for (int32 i = *BucketOf(part, hash); i >= 0; i = part->entries[i].next) {
    TopicEntry* entry = &part->entries[i];
    if (entry->journal == journal && entry->database == MyDatabaseId && entry->name() == topic) return entry;
  }
  return nullptr;
}

void Unlink(TopicPartition* part, TopicEntry* entry) {
  const uint32 name = hash_bytes(reinterpret_cast<const unsigned char*>(entry->topic), entry->topic_len);
  const uint32 hash = hash_combine(hash_combine(name, entry->database), entry->journal);
  const int32 index = static_cast<int32>(entry - part->entries);
  for (int32* link = BucketOf(part, hash); *link >= 0; link = &part->entries[*link].next) {
    if (*link != index) continue;
    *link = entry->next;
    return;
  }
}

bool MayEvict(TopicEntry* entry) {
  return pg_atomic_read_u32(&entry->pins) == 0 && pg_atomic_read_u32(&entry->pending_voids) == 0 &&
         pg_atomic_read_u32(&entry->holes) == 0;
}

// A place for a new entry: a free one, or that of a topic idle for a turn of the clock. Null when all are in use.
// REQUIRES the partition's lock exclusively.
TopicEntry* TakePlace(TopicPartition* part) {
  for (uint32 step = 0; step < 2 * shared->entry_count; ++step) {
    TopicEntry* entry = &part->entries[part->hand];
    part->hand = (part->hand + 1) % shared->entry_count;
    if (!MayEvict(entry)) continue;
    if (entry->state == TopicState::kFree || entry->state == TopicState::kFailed) return entry;
    if (entry->state != TopicState::kReady) continue;
    if (entry->recently_used) {
      entry->recently_used = false;
      continue;
    }
    Unlink(part, entry);
    entry->state = TopicState::kFree;
    pg_atomic_fetch_add_u64(&shared->evictions, 1);
    return entry;
  }
  return nullptr;
}

void Hold(TopicEntry* entry) {
  pg_atomic_fetch_add_u32(&entry->pins, 1);
  held[held_count++] = {entry, 0, 0};
}

// Makes the entry of a topic that nobody has, in state kLoading, held. REQUIRES the lock exclusively.
TopicEntry* Insert(TopicPartition* part, uint32 hash, Oid journal, std::string_view topic) {
  TopicEntry* entry = TakePlace(part);
  if (entry == nullptr) return nullptr;
  entry->database = MyDatabaseId;
  entry->journal = journal;
  entry->recently_used = true;
  entry->topic_len = static_cast<uint16>(topic.size());
  memcpy(entry->topic, topic.data(), topic.size());
  entry->state = TopicState::kLoading;
  int32* bucket = BucketOf(part, hash);
  entry->next = *bucket;
  *bucket = static_cast<int32>(entry - part->entries);
  Hold(entry);
  return entry;
}

// Gives up a load that failed, so that those who wait try by themselves.
void AbandonLoad() {
  LWLockAcquire(loading_in->lock, LW_EXCLUSIVE);
  if (loading->state == TopicState::kLoading) {
    Unlink(loading_in, loading);
    loading->state = TopicState::kFailed;
  }
  LWLockRelease(loading_in->lock);
  ConditionVariableBroadcast(&loading->loaded);
  loading = nullptr;
}

// Makes the entry ready. Whoever has read the head first does it: nobody can have allocated before, so all who read
// it while it is loaded read the same.
void FinishLoad(TopicPartition* part, TopicEntry* entry, uint64 head) {
  LWLockAcquire(part->lock, LW_EXCLUSIVE);
  const bool is_first = entry->state == TopicState::kLoading;
  if (is_first) {
    pg_atomic_write_u64(&entry->head, head);
    pg_atomic_write_u64(&entry->persisted, 0);
    entry->loaded_head = head;
    entry->state = TopicState::kReady;
  }
  LWLockRelease(part->lock);
  if (!is_first) return;
  ConditionVariableBroadcast(&entry->loaded);
  pg_atomic_fetch_add_u64(&MyDatabaseState()->heads_loaded, 1);
}

void Load(TopicPartition* part, TopicEntry* entry, std::string_view topic, HeadReader read_head) {
  loading_in = part;
  loading = entry;
  const uint64 head = read_head(topic);  // on ERROR, ReleaseTopics gives up the load
  FinishLoad(part, entry, head);
  loading = nullptr;
}

TopicState StateOf(TopicPartition* part, TopicEntry* entry) {
  LWLockAcquire(part->lock, LW_SHARED);
  const TopicState state = entry->state;
  LWLockRelease(part->lock);
  return state;
}

// Waits until another process has read the head. False when it failed. The other one may wait for a lock that this
// transaction holds, which no deadlock detector sees: after a while this one reads the head itself.
bool AwaitLoad(TopicPartition* part, TopicEntry* entry, std::string_view topic, HeadReader read_head) {
  ConditionVariablePrepareToSleep(&entry->loaded);
  TopicState state;
  bool is_late = false;
  while (!is_late && (state = StateOf(part, entry)) == TopicState::kLoading) {
    is_late = ConditionVariableTimedSleep(&entry->loaded, kLoadPatienceMs, PG_WAIT_EXTENSION);
  }
  ConditionVariableCancelSleep();
  if (is_late) {
    FinishLoad(part, entry, read_head(topic));
    state = StateOf(part, entry);
  }
  return state == TopicState::kReady;
}

void QueueVoid(const HeldTopic& range) {
  DatabaseState* database = MyDatabaseState();
  pg_atomic_fetch_add_u64(&database->voids_queued, range.count);
  LWLockAcquire(shared->voids_lock, LW_EXCLUSIVE);
  if (shared->void_count < void_queue_size) {
    pg_atomic_fetch_add_u32(&range.topic->pending_voids, 1);
    shared->voids[shared->void_count++] = {range.topic, range.first, range.count};
  } else {
    pg_atomic_fetch_add_u32(&range.topic->holes, 1);
    pg_atomic_fetch_add_u64(&shared->overflows, 1);
  }
  LWLockRelease(shared->voids_lock);
  WakeWorker(database);
}

}  // namespace

TopicHold PinTopic(Oid journal, std::string_view topic, HeadReader read_head) {
  const uint32 hash = HashTopic(journal, topic);
  TopicPartition* part = PartitionOf(hash);
  for (;;) {
    ReserveHeld();
    LWLockAcquire(part->lock, LW_SHARED);
    TopicEntry* entry = Find(part, hash, journal, topic);
    if (entry == nullptr) {
      LWLockRelease(part->lock);
      LWLockAcquire(part->lock, LW_EXCLUSIVE);
      entry = Find(part, hash, journal, topic);
      if (entry == nullptr) {
        entry = Insert(part, hash, journal, topic);
        LWLockRelease(part->lock);
        if (entry == nullptr) {
          ereport(ERROR,
                  (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED), errmsg("too many topics are written to at once"),
                   errdetail("Shared memory holds the heads of %d topics, and those that could make room are "
                             "in use.",
                             max_hot_topics),
                   errhint("Write to fewer topics in one transaction, or raise oa_sync.max_hot_topics and "
                           "restart the server.")));
        }
        Load(part, entry, topic, read_head);
        return {entry, held_count - 1};
      }
    }
    Hold(entry);
    entry->recently_used = true;
    const bool ready = entry->state == TopicState::kReady;
    LWLockRelease(part->lock);
    if (ready || AwaitLoad(part, entry, topic, read_head)) return {entry, held_count - 1};
    CHECK_FOR_INTERRUPTS();
  }
}

uint64 AllocateRange(TopicHold hold, uint64 count) {
  if (!in_commit) {
    in_commit = true;
    pg_atomic_fetch_add_u64(&shared->slots[MyBackendId].sequence, 1);
  }
  HeldTopic& range = held[hold.index];
  // Nothing may come between these two lines: a range that is not noted here would never be filled.
  range.first = pg_atomic_fetch_add_u64(&hold.topic->head, count) + 1;
  range.count = count;
  return range.first;
}

void ReleaseTopics(bool committed) {
  if (loading != nullptr) AbandonLoad();
  for (int i = 0; i < held_count; ++i) {
    if (!committed && held[i].count != 0) QueueVoid(held[i]);
    pg_atomic_fetch_sub_u32(&held[i].topic->pins, 1);
  }
  held_count = 0;
  if (in_commit) {
    in_commit = false;
    pg_atomic_fetch_add_u64(&shared->slots[MyBackendId].sequence, 1);
  }
}

void ForgetVoids(Oid database) {
  LWLockAcquire(shared->voids_lock, LW_EXCLUSIVE);
  for (int i = 0; i < shared->void_count;) {
    if (shared->voids[i].topic->database != database) {
      ++i;
      continue;
    }
    pg_atomic_fetch_sub_u32(&shared->voids[i].topic->pending_voids, 1);
    shared->voids[i] = shared->voids[--shared->void_count];
  }
  LWLockRelease(shared->voids_lock);
  for (uint32 p = 0; p < kTopicPartitions; ++p) {
    LWLockAcquire(shared->topics[p].lock, LW_EXCLUSIVE);
    for (uint32 e = 0; e < shared->entry_count; ++e) {
      TopicEntry& entry = shared->topics[p].entries[e];
      if (entry.database == database) pg_atomic_write_u32(&entry.holes, 0);
    }
    LWLockRelease(shared->topics[p].lock);
  }
}

void VisitHotTopics(Oid journal, TopicVisitor visit, void* context) {
  for (uint32 p = 0; p < kTopicPartitions; ++p) {
    TopicPartition* part = &shared->topics[p];
    for (uint32 e = 0; e < shared->entry_count; ++e) {
      TopicEntry* entry = &part->entries[e];
      if (entry->state != TopicState::kReady || entry->database != MyDatabaseId) continue;
      ReserveHeld();
      LWLockAcquire(part->lock, LW_SHARED);
      const bool mine =
          entry->state == TopicState::kReady && entry->database == MyDatabaseId && entry->journal == journal;
      if (mine) Hold(entry);
      LWLockRelease(part->lock);
      if (!mine) continue;
      visit(entry, context);
      pg_atomic_fetch_sub_u32(&entry->pins, 1);
      --held_count;
    }
  }
}

int64 AllocatedHead(Oid journal, std::string_view topic) {
  if (RecoveryInProgress()) return 0;
  const uint32 hash = HashTopic(journal, topic);
  TopicPartition* part = PartitionOf(hash);
  LWLockAcquire(part->lock, LW_SHARED);
  TopicEntry* entry = Find(part, hash, journal, topic);
  const bool ready = entry != nullptr && entry->state == TopicState::kReady;
  const uint64 head = ready ? pg_atomic_read_u64(&entry->head) : 0;
  LWLockRelease(part->lock);
  return static_cast<int64>(head);
}

}  // namespace oasync
