#include "floor_raiser.h"

#include <algorithm>

#include "epoch.h"
#include "head_keeper.h"
#include "journal_scan.h"
#include "policy.h"
#include "retention.h"
#include "settings.h"
#include "worker.h"

namespace oasync {
namespace {

constexpr int kTopicsPerTransaction = 500;

// Where the next transaction goes on: behind this topic.
char position[kMaxTopicBytes];
Size position_len = 0;
int topics_left = 0;  // to be looked at in this cycle
bool at_end = false;
int64 raised = 0;

// A relation that has topics, and the first of its topics that was not looked at yet.
struct TopicSource {
  JournalProbe* probe;
  JournalPartition partition;  // relid is InvalidOid of sync_topic_sequences
  std::string_view next;       // empty at the end
};

// What one partition has of a topic.
struct TopicPart {
  const TopicSource* source;
  JournalPlace first;
  JournalPlace last;
};

struct Sources {
  int count;
  TopicSource* list;
  TopicPart* parts;  // `count` places
};

Sources OpenSources(std::string_view after) {
  const Journal* journal = GetJournal();
  const int n = journal->partition_count;
  // The cache may be read afresh while relations are opened: keep our own list.
  auto* partitions = static_cast<JournalPartition*>(palloc(sizeof(JournalPartition) * static_cast<Size>(n + 1)));
  memcpy(partitions, journal->partitions, sizeof(JournalPartition) * static_cast<Size>(n));
  partitions[n] = {};
  Sources sources = {0, static_cast<TopicSource*>(palloc0(sizeof(TopicSource) * static_cast<Size>(n + 1))),
                     static_cast<TopicPart*>(palloc0(sizeof(TopicPart) * static_cast<Size>(n + 1)))};
  for (int i = 0; i <= n; ++i) {
    JournalProbe* probe = i < n ? OpenPartitionProbe(partitions[i].relid) : OpenSequencesProbe();
    if (probe != nullptr) sources.list[sources.count++] = {probe, partitions[i], NextTopic(probe, after)};
  }
  return sources;
}

// The first topic of all relations; empty at the end.
std::string_view FirstTopic(const Sources& sources) {
  std::string_view first;
  for (int i = 0; i < sources.count; ++i) {
    const std::string_view next = sources.list[i].next;
    if (!next.empty() && (first.empty() || next < first)) first = next;
  }
  return first;
}

// What the partitions have of the topic, in the order of its watermarks.
int CollectParts(const Sources& sources, std::string_view topic) {
  int count = 0;
  for (int i = 0; i < sources.count; ++i) {
    const TopicSource& source = sources.list[i];
    if (source.partition.relid == InvalidOid || source.next != topic) continue;
    TopicPart part = {&source, {}, {}};
    if (!FirstPlaceAfter(source.probe, topic, PG_INT64_MIN, &part.first)) continue;
    if (LastPlace(source.probe, topic, &part.last)) sources.parts[count++] = part;
  }
  std::sort(sources.parts, sources.parts + count,
            [](const TopicPart& a, const TopicPart& b) { return a.first.watermark < b.first.watermark; });
  return count;
}

// The last event of a part that is older than the cutoff; false when there is none.
bool LastBefore(const TopicPart& part, std::string_view topic, TimestampTz cutoff, JournalPlace* found) {
  const JournalPartition& partition = part.source->partition;
  if (partition.from >= cutoff || part.first.inserted_at >= cutoff) return false;
  if (partition.to <= cutoff || part.last.inserted_at < cutoff) {
    *found = part.last;
    return true;
  }
  *found = part.first;
  int64 too_young = part.last.watermark;  // nothing old is known at or behind it
  while (too_young - found->watermark > 1) {
    const int64 middle = found->watermark + (too_young - found->watermark) / 2;
    JournalPlace place;
    if (FirstPlaceAfter(part.source->probe, topic, middle - 1, &place) && place.watermark < too_young &&
        place.inserted_at < cutoff) {
      *found = place;
    } else {
      too_young = middle;
    }
  }
  return true;
}

// Below `next` every event was visible once. What lacks there now is gone, and so is, for a reader, what is before it.
// False when nothing is missing above the floor.
bool LastMissing(const Sources& sources, int count, int64 next, int64 floor, JournalPlace* missing) {
  int64 covered = floor;
  bool found = false;
  for (int i = 0; i < count && covered + 1 < next; ++i) {
    const TopicPart& part = sources.parts[i];
    if (part.first.watermark > covered + 1) {
      // Its epoch is not known, but it is not newer than that of what follows.
      *missing = {Min(part.first.watermark, next) - 1, part.first.epoch, 0};
      found = true;
    }
    covered = Max(covered, part.last.watermark);
  }
  if (covered + 1 < next) {
    *missing = {next - 1, static_cast<int64>(ReadNewestEpoch(GetJournal())), 0};
    found = true;
  }
  return found;
}

// Whether the topic's floor has to be raised, and to what, or its head to be persisted.
bool Judge(const Sources& sources, std::string_view topic, TimestampTz now, TopicMark* mark) {
  int64 next = 1;
  int64 floor = 0;
  ReadTopicSequence(topic, nullptr, &next, &floor);  // before the events: what they lack below `next` is gone
  const int count = CollectParts(sources, topic);
  JournalPlace highest = {floor, 0, 0};
  JournalPlace place;
  if (LastMissing(sources, count, next, floor, &place) && place.watermark > highest.watermark) highest = place;
  const TimestampTz cutoff = RetentionCutoff(now, PolicyOf(topic)->horizon_us);
  for (int i = 0; i < count; ++i) {
    if (LastBefore(sources.parts[i], topic, cutoff, &place) && place.watermark > highest.watermark) highest = place;
  }
  if (highest.watermark >= next && !IsDenseTo(topic, highest.watermark)) highest.watermark = next - 1;
  // A topic that left shared memory before its head was persisted is known by its events alone, and those may be taken
  // away by hand.
  int64 newest = 0;
  for (int i = 0; i < count; ++i) newest = Max(newest, sources.parts[i].last.watermark);
  const bool is_forgotten = newest >= next && IsDenseTo(topic, newest);
  if (highest.watermark <= floor && !is_forgotten) return false;
  if (highest.watermark > floor) ++raised;
  *mark = {{}, Max(next, (is_forgotten ? newest : highest.watermark) + 1), highest.watermark, highest.epoch};
  memcpy(mark->name, topic.data(), topic.size());
  return true;
}

void RaiseSome() {
  const Sources sources = OpenSources({position, position_len});
  MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "oa_sync floor", ALLOCSET_DEFAULT_SIZES);
  auto* marks = static_cast<TopicMark*>(palloc(sizeof(TopicMark) * kTopicsPerTransaction));
  int count = 0;
  raised = 0;
  for (int looked_at = 0; looked_at < kTopicsPerTransaction && topics_left > 0; ++looked_at, --topics_left) {
    CHECK_FOR_INTERRUPTS();
    const std::string_view first = FirstTopic(sources);
    if (first.empty()) {
      at_end = true;
      break;
    }
    position_len = first.size();
    memcpy(position, first.data(), position_len);
    const std::string_view topic(position, position_len);
    const ContextSwitch in(context);
    if (Judge(sources, topic, GetCurrentTimestamp(), &marks[count])) ++count;
    for (int i = 0; i < sources.count; ++i) {
      TopicSource& source = sources.list[i];
      if (source.next == topic) source.next = NextTopic(source.probe, topic);
    }
    in.Back();
    MemoryContextReset(context);
  }
  for (int i = 0; i < sources.count; ++i) CloseProbe(sources.list[i].probe);
  WriteTopicMarks(marks, count);
}

}  // namespace

void RaiseFloors(RetentionCycle* cycle) {
  // A topic is looked at once in a cycle: having begun in the middle, a second part ends there.
  char began[kMaxTopicBytes];
  const std::string_view begin(began, position_len);
  memcpy(began, position, position_len);
  topics_left = retention_topics;
  at_end = false;
  bool wrapped = position_len == 0;
  while (topics_left > 0) {
    if (!RunInTransaction("raise floors", RaiseSome)) {
      cycle->failed = true;
      return;
    }
    cycle->floors += raised;
    ServeMeanwhile();
    if (at_end) {
      position_len = 0;
      at_end = false;
      if (wrapped) return;
      wrapped = true;
    } else if (wrapped && !begin.empty() && std::string_view(position, position_len) >= begin) {
      return;
    }
  }
}

}  // namespace oasync
