#include "topic_cursor.h"

extern "C" {
#include "access/xlog.h"
#include "access/xlog_internal.h"
}

#include "epoch.h"
#include "journal_scan.h"

namespace oasync {
namespace {

// Events that are walked over at most: far more than a worker lets come together between two checkpoints.
constexpr int64 kMaxWalk = 100000;

}  // namespace

TopicCursor ReadTopicCursor(std::string_view topic, Snapshot snapshot) {
  int64 next = 1;
  int64 floor = 0;
  ReadTopicSequence(topic, snapshot, &next, &floor);
  int64 head = Max(next - 1, floor);
  JournalScan* scan = BeginJournalScan(topic, head, snapshot);
  JournalRow row;
  for (int64 walked = 0; walked < kMaxWalk && NextJournalRow(scan, &row); ++walked) {
    CHECK_FOR_INTERRUPTS();
    if (row.watermark != head + 1) break;
    ++head;
  }
  EndJournalScan(scan);
  return {static_cast<int64>(ReadNewestEpoch(GetJournal())), head};
}

void CheckAboveFloor(std::string_view topic, int64 watermark) {
  int64 next = 1;
  int64 floor = 0;
  ReadTopicSequence(topic, nullptr, &next, &floor);
  if (watermark >= floor) return;
  ereport(ERROR,
          (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("the snapshot's cursor is no longer retained"),
           errdetail("Its watermark is %lld; events up to %lld are gone by now.", static_cast<long long>(watermark),
                     static_cast<long long>(floor)),
           errhint("Begin the snapshot again, without a token and in a new transaction.")));
}

void FlushWhatIsVisible() {
  if (RecoveryInProgress()) return;
  // What is visible committed before now, so its commit record is before this place.
  XLogRecPtr end = GetXLogInsertRecPtr();
  // Just behind a page's header nothing is written yet: the last record ends where the page begins.
  const uint64 offset = end % XLOG_BLCKSZ;
  if (offset == SizeOfXLogShortPHD ||
      (offset == SizeOfXLogLongPHD && XLogSegmentOffset(end, wal_segment_size) == offset)) {
    end -= offset;
  }
  XLogFlush(end);
}

}  // namespace oasync
