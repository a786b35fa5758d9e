// Reading the journal in the order of watermarks, across its partitions.
//
// Works on partitions directly: it takes no lock on the journal itself, so it waits for nobody who attaches or
// drops a partition, and a partition that is dropped meanwhile is passed over.
#pragma once

#include "journal.h"
#include "text_template.h"

extern "C" {
#include "utils/snapshot.h"
}

namespace oasync {

struct JournalScan;

// A row under the scan. Pointers are valid until the next call.
struct JournalRow {
  int64 watermark;
  TransactionId xmin;   // who wrote it
  const Datum* values;  // by JournalColumn - 1, `columns` of them
  const bool* isnull;
  int columns;
};
// A copy of the row's values, which may point to what the row does.
JournalValues ValuesOf(const JournalRow& row);

// Starts reading one topic's rows with watermark > after, ascending. Memory in the current context.
// A null snapshot means "what is committed at each moment" (SnapshotSelf), which takes no predicate locks.
JournalScan* BeginJournalScan(std::string_view topic, int64 after, Snapshot snapshot);
// The next row; false at the end.
bool NextJournalRow(JournalScan* scan, JournalRow* row);
void EndJournalScan(JournalScan* scan);

// What the journal has of a topic; watermarks are 0 when it has nothing.
struct JournalRange {
  int64 oldest;
  int64 newest;
  TransactionId newest_xmin;  // who wrote the newest
  TimestampTz oldest_at;      // when the oldest was appended
};
JournalRange ReadJournalRange(std::string_view topic, Snapshot snapshot, bool with_oldest);

// A partition of the journal (or sync_topic_sequences, for its topics alone) that is open for many look-ups, each of
// what is committed at its moment.
struct JournalProbe;
// Null when the relation is gone. Memory in the current context.
JournalProbe* OpenPartitionProbe(Oid partition);
JournalProbe* OpenSequencesProbe();
void CloseProbe(JournalProbe* probe);

// Where an event stands.
struct JournalPlace {
  int64 watermark;
  int64 epoch;
  TimestampTz inserted_at;
};
// The topic's first event with watermark > after, or its last one; false when there is none.
bool FirstPlaceAfter(JournalProbe* probe, std::string_view topic, int64 after, JournalPlace* place);
bool LastPlace(JournalProbe* probe, std::string_view topic, JournalPlace* place);
// The first topic behind `after`; empty at the end. Valid until the next call.
std::string_view NextTopic(JournalProbe* probe, std::string_view after);

// The row of a topic in sync_topic_sequences; false (and next_watermark 1, floor 0) when there is none.
bool ReadTopicSequence(std::string_view topic, Snapshot snapshot, int64* next_watermark, int64* floor);

// The same, with the epoch of the event at the floor (0 while the floor is 0).
bool ReadTopicFloor(std::string_view topic, Snapshot snapshot, int64* next_watermark, int64* floor, int64* floor_epoch);

// The head that allocation goes on from: the larger of the two, whatever the transaction's isolation.
uint64 ReadDurableHead(std::string_view topic);

// Calls visit(topic) once for each topic in one partition of the journal, by skipping from topic to topic.
using TopicNameVisitor = void (*)(std::string_view topic, void* context);
void VisitPartitionTopics(const JournalPartition& partition, Snapshot snapshot, TopicNameVisitor visit, void* context);

// The same for the topics of sync_topic_sequences.
void VisitSequenceTopics(Snapshot snapshot, TopicNameVisitor visit, void* context);

}  // namespace oasync
