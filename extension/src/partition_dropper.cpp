#include "partition_dropper.h"

#include <csignal>

extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "executor/spi.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "storage/sinvaladt.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/wait_event.h"
}

#include <algorithm>

#include "head_keeper.h"
#include "journal_scan.h"
#include "policy.h"
#include "retention.h"
#include "worker.h"

namespace oasync {
namespace {

constexpr int kTopicsPerTransaction = 2000;
// How often the locks of a drop are tried for, and the pause between: readers hold theirs for as long as a page takes.
constexpr int kLockAttempts = 25;
constexpr int kLockPauseMs = 10;

// How a partition goes.
enum class Step : uint8_t {
  kGone,     // it is no partition any more
  kSkipped,  // in use, or not dense: a later cycle
  kKept,     // an event in it is still wanted
  kListing,  // topics are left to be looked at
  kReady,    // may be dropped
  kDropped,
};

// The partition that is worked on, between its transactions.
struct Work {
  JournalPartition partition;
  bool quick;  // older than every horizon that there is
  Step step;
  TimestampTz kept_until;  // of kKept
  char position[kMaxTopicBytes];
  Size position_len;
  int64 floors;
  int64 bytes;
  TimestampTz locked_at;   // when the last transaction had its locks,
  TimestampTz removed_at;  // and when its commands were done: the commit follows
};
Work work;

// Which partitions stay, and until when at least: so that their topics are not listed in every cycle.
struct Kept {
  Oid relid;  // the hash key
  TimestampTz until;
};
HTAB* kept = nullptr;
Oid policies = InvalidOid;
bool policies_changed = false;

void OnInvalidation(Datum, Oid relid) {
  // May be called at any time: only mark.
  if (relid == InvalidOid || relid == policies) policies_changed = true;
}

HTAB* MakeKept() {
  HASHCTL control = {};
  control.keysize = sizeof(Oid);
  control.entrysize = sizeof(Kept);
  control.hcxt = TopMemoryContext;
  return hash_create("oa_sync kept partitions", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

JournalPartition* candidates = nullptr;  // in TopMemoryContext
int candidate_count = 0;
TimestampTz longest_cutoff = 0;

// The partitions whose time is past, oldest first, and the default one unless it is that of the present.
void CollectCandidates() {
  const Journal* journal = GetJournal();
  policies = journal->policies;
  if (kept == nullptr || policies_changed) {
    if (kept != nullptr) hash_destroy(kept);
    policies_changed = false;
    kept = MakeKept();
  }
  const TimestampTz now = GetCurrentTimestamp();
  if (candidates != nullptr) pfree(candidates);
  candidate_count = 0;
  candidates = static_cast<JournalPartition*>(
      MemoryContextAlloc(TopMemoryContext, sizeof(JournalPartition) * static_cast<Size>(journal->partition_count + 1)));
  const Oid present = PartitionFor(journal, now)->relid;
  for (int i = 0; i < journal->partition_count; ++i) {
    const JournalPartition& partition = journal->partitions[i];
    if (partition.relid == present || (!partition.is_default && partition.to > now)) continue;
    const auto* entry = static_cast<const Kept*>(hash_search(kept, &partition.relid, HASH_FIND, nullptr));
    if (entry == nullptr || entry->until <= now) candidates[candidate_count++] = partition;
  }
  std::sort(candidates, candidates + candidate_count,
            [](const JournalPartition& a, const JournalPartition& b) { return a.to < b.to; });
  longest_cutoff = RetentionCutoff(now, LongestHorizon());
}

void Pause() {
  CHECK_FOR_INTERRUPTS();
  (void)WaitLatch(nullptr, WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, kLockPauseMs, PG_WAIT_EXTENSION);
}

// Ends the autovacuum of a relation that is about to go. It would yield to somebody who waits for its lock; here nobody
// waits, and a vacuum against wraparound does not yield at all.
void CancelAutovacuum(Oid relid) {
  LOCKTAG tag;
  SET_LOCKTAG_RELATION(tag, MyDatabaseId, relid);
  const VirtualTransactionId* holder = GetLockConflicts(&tag, AccessExclusiveLock, nullptr);
  for (; VirtualTransactionIdIsValid(*holder); ++holder) {
#if PG_VERSION_NUM >= 170000
    PGPROC* proc = ProcNumberGetProc(holder->procNumber);
#else
    PGPROC* proc = BackendIdGetProc(holder->backendId);
#endif
    if (proc == nullptr) continue;
    LWLockAcquire(ProcArrayLock, LW_SHARED);
    const int pid = (proc->statusFlags & PROC_IS_AUTOVACUUM) != 0 ? proc->pid : 0;
    LWLockRelease(ProcArrayLock);
    if (pid == 0) continue;
    ereport(DEBUG1, (errmsg("oa_sync retention ends the autovacuum of %u by process %d", relid, pid)));
    (void)kill(pid, SIGINT);
  }
}

bool TryLock(Oid relid, LOCKMODE mode, bool may_cancel) {
  if (ConditionalLockRelationOid(relid, mode)) return true;
  if (may_cancel) CancelAutovacuum(relid);
  return false;
}

// --- first transaction: nobody writes to it from here on -----------------------------------------------------------

// The lock is the session's, so that it outlives the transactions between. It lets readers through.
void LockAgainstWrites() {
  const Oid relid = work.partition.relid;
  work.step = Step::kSkipped;
  bool locked = false;
  // Only what is sure to go is vacuumed in vain.
  for (int i = 0; i < kLockAttempts && !locked; ++i) {
    if (i > 0) Pause();
    locked = TryLock(relid, ExclusiveLock, work.quick);
  }
  if (!locked) return;
  if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)) || !get_rel_relispartition(relid)) {
    work.step = Step::kGone;
    return;
  }
  LockRelId id = {relid, MyDatabaseId};
  LockRelationIdForSession(&id, ExclusiveLock);
  work.step = Step::kListing;
}

// Any transaction of this process that fails takes the locks of its session with it, also one that fills voids
// meanwhile.
bool IsLockedAgainstWrites() {
  LOCKTAG tag;
  SET_LOCKTAG_RELATION(tag, MyDatabaseId, work.partition.relid);
#if PG_VERSION_NUM >= 170000
  return LockHeldByMe(&tag, ExclusiveLock, false);
#else
  return LockHeldByMe(&tag, ExclusiveLock);
#endif
}

void Unlock() {
  LockRelId id = {work.partition.relid, MyDatabaseId};
  UnlockRelationIdForSession(&id, ExclusiveLock);
}

// --- then: what of its topics has to outlive it --------------------------------------------------------------------

// Whether the topic can do without what the partition has of it, of which `last` is the last.
Step JudgeTopic(std::string_view topic, const JournalPlace& last) {
  const TimestampTz youngest = work.partition.is_default ? last.inserted_at : work.partition.to;
  if (!work.quick || work.partition.is_default) {
    const int64 horizon = PolicyOf(topic)->horizon_us;
    if (youngest > RetentionCutoff(GetCurrentTimestamp(), horizon)) {
      work.kept_until = horizon == kNoLimit ? PG_INT64_MAX : youngest + horizon;
      return Step::kKept;
    }
  }
  return IsDenseTo(topic, last.watermark) ? Step::kListing : Step::kSkipped;
}

void PersistTopics() {
  // A cycle can be long. What a policy keeps that was set meanwhile is not measured by the horizons of its beginning:
  // the next cycle looks again.
  if (policies_changed) {
    work.step = Step::kSkipped;
    return;
  }
  JournalProbe* probe = OpenPartitionProbe(work.partition.relid);
  if (probe == nullptr) {
    work.step = Step::kGone;
    return;
  }
  MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "oa_sync retention", ALLOCSET_DEFAULT_SIZES);
  auto* marks = static_cast<TopicMark*>(palloc(sizeof(TopicMark) * kTopicsPerTransaction));
  int count = 0;
  while (count < kTopicsPerTransaction && work.step == Step::kListing) {
    CHECK_FOR_INTERRUPTS();
    const ContextSwitch in(context);
    const std::string_view topic = NextTopic(probe, {work.position, work.position_len});
    JournalPlace last;
    if (topic.empty()) {
      work.step = Step::kReady;
    } else if (LastPlace(probe, topic, &last)) {
      work.step = JudgeTopic(topic, last);
      work.position_len = topic.size();
      memcpy(work.position, topic.data(), topic.size());
      if (work.step == Step::kListing) {
        marks[count] = {{}, last.watermark + 1, last.watermark, last.epoch};
        memcpy(marks[count++].name, topic.data(), topic.size());
      }
    }
    in.Back();
    MemoryContextReset(context);
  }
  CloseProbe(probe);
  // An empty default partition is nothing to do.
  if (work.step == Step::kReady && work.partition.is_default && work.position_len == 0) work.step = Step::kKept;
  work.floors += WriteTopicMarks(marks, count);
}

// --- last transaction: it goes -------------------------------------------------------------------------------------

Oid ToastOf(Oid relid) {
  HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
  if (!HeapTupleIsValid(tuple)) return InvalidOid;
  const Oid toast = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->reltoastrelid;
  ReleaseSysCache(tuple);
  return toast;
}

// Every relation that the command is going to lock, in one go: none is held while another one is waited for.
bool LockExclusively(const Oid* relids, int count) {
  for (int attempt = 0; attempt < kLockAttempts; ++attempt) {
    if (attempt > 0) Pause();
    int got = 0;
    while (got < count && ConditionalLockRelationOid(relids[got], AccessExclusiveLock)) ++got;
    if (got == count) return true;
    for (int i = 0; i < got; ++i) UnlockRelationOid(relids[i], AccessExclusiveLock);
    if (!work.partition.is_default && (relids[got] == work.partition.relid || got == count - 1)) {
      CancelAutovacuum(relids[got]);
    }
  }
  return false;
}

void Remove() {
  const Oid relid = work.partition.relid;
  const bool is_default = work.partition.is_default;
  const Journal* journal = GetJournal();
  Oid relids[4];
  int count = 0;
  relids[count++] = relid;
  if (!is_default) {
    relids[count++] = journal->journal;
    for (int i = 0; i < journal->partition_count; ++i) {
      if (journal->partitions[i].is_default) relids[count++] = journal->partitions[i].relid;
    }
  }
  if (const Oid toast = ToastOf(relid); toast != InvalidOid) relids[count++] = toast;
  const int64 bytes = DatumGetInt64(DirectFunctionCall1(pg_total_relation_size, ObjectIdGetDatum(relid)));
  work.step = Step::kSkipped;
  if (!LockExclusively(relids, count) || policies_changed) return;
  work.locked_at = GetCurrentTimestamp();
  // Both are said in a way that touches this table only.
  const char* name = quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid));
  const char* sql = psprintf(is_default ? "TRUNCATE TABLE ONLY %s" : "DROP TABLE %s", name);
  SPI_connect();
  PushActiveSnapshot(GetTransactionSnapshot());
  if (SPI_execute(sql, false, 0) != SPI_OK_UTILITY) elog(ERROR, "could not remove \"%s\"", name);
  PopActiveSnapshot();
  SPI_finish();
  work.bytes = bytes;
  work.removed_at = GetCurrentTimestamp();
  work.step = Step::kDropped;
}

bool RunStep(const char* what, void (*body)(), RetentionCycle* cycle) {
  if (RunInTransaction(what, body)) return true;
  cycle->failed = true;
  return false;
}

void DropOne(RetentionCycle* cycle) {
  if (!RunStep("lock a partition", LockAgainstWrites, cycle)) return;
  if (work.step == Step::kListing) {
    bool fine = true;
    while (fine && work.step == Step::kListing) {
      fine = RunStep("persist topics", PersistTopics, cycle);
      ServeMeanwhile();
      // Without the lock there may be events that were not listed: all of it again, in a later cycle.
      if (fine && !IsLockedAgainstWrites()) work.step = Step::kSkipped;
    }
    if (fine && work.step == Step::kReady) fine = RunStep("drop a partition", Remove, cycle);
    if (!fine) work.step = Step::kGone;
    if (IsLockedAgainstWrites()) Unlock();
  }
  cycle->floors += work.floors;
  if (work.step == Step::kSkipped) ++cycle->skipped;
  if (work.step == Step::kDropped) {
    ++cycle->dropped;
    cycle->bytes += work.bytes;
    // The file goes at the end of the commit, when the locks are given back already.
    ereport(DEBUG1, (errmsg("oa_sync retention removed partition %u: %lld us under lock, then %lld us to commit and to "
                            "unlink",
                            work.partition.relid, static_cast<long long>(work.removed_at - work.locked_at),
                            static_cast<long long>(GetCurrentTimestamp() - work.removed_at))));
  }
  // A partition that is looked at was not kept, or its time is past.
  hash_search(kept, &work.partition.relid, HASH_REMOVE, nullptr);
  if (work.step == Step::kKept && work.kept_until != 0) {
    auto* entry = static_cast<Kept*>(hash_search(kept, &work.partition.relid, HASH_ENTER, nullptr));
    entry->until = work.kept_until;
  }
}

}  // namespace

void DropOldPartitions(RetentionCycle* cycle) {
  if (!RunStep("look for old partitions", CollectCandidates, cycle)) return;
  for (int i = 0; i < candidate_count; ++i) {
    work = Work{};
    work.partition = candidates[i];
    work.quick = !candidates[i].is_default && candidates[i].to <= longest_cutoff;
    DropOne(cycle);
  }
}

void WatchHorizons() { CacheRegisterRelcacheCallback(OnInvalidation, PointerGetDatum(nullptr)); }

}  // namespace oasync
