// JournalTail: brings followed topics up to date from the journal, for the tail thread.
//
// While there is no live slot it sweeps over all followed topics, at most every poll interval. Beside that it reads
// the gaps that TopicOrder reports, and it looks after topics on probation.
//
// Probation closes the one hole of the slot: an event may have been committed before the slot (or before the topic
// was followed), so that the stream does not bring it, and yet be invisible to the head that was read, because
// PostgreSQL makes a commit visible a little after writing it (much later under synchronous replication). So a topic
// that joins the live stream is also read from the journal until every transaction that was running when it joined
// has ended: a transaction id is taken after joining (the barrier), and the topic is done after a read that began
// when nothing below the barrier was running any more.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "clock.h"
#include "journal_reader.h"
#include "mailbox.h"
#include "pg_source.h"
#include "topic_order.h"

namespace oasync::pg {

struct JournalTailOptions {
  Millis poll{100};
  Millis retry_max{3000};              // pauses after failures double from `poll` up to this
  Millis probation_pause_max{10'000};  // as long as an old transaction stays open
};

class JournalTail {
 public:
  // Events that may be delivered are appended to *out. `post` runs a task on the tail thread, where every member
  // is called. `on_stale`: retention has taken away events that a topic still lacks; the floors tell of which.
  // All pointers must outlive the reader's last callback.
  JournalTail(JournalTailOptions options, TopicOrder* order, JournalReader* reader, EpochBoard* board,
              std::function<void(Task)> post, PgSourceStats* stats, std::vector<EventRef>* out,
              std::function<void()> on_stale);

  // Answers and events of other epochs are ignored (a higher one is offered to the board).
  void SetEpoch(uint64_t epoch) { epoch_ = epoch; }
  // Whether the topics have no other source than the journal.
  void SetSweep(bool sweep);
  // The topic has joined the live stream just now.
  void StartProbation(TopicId id);
  size_t on_probation() const { return on_probation_; }

  void Tick(TimePoint now);
  TimePoint Deadline() const;

  // Whether the last sweep worked, for the tail mode.
  bool healthy() const { return healthy_; }
  const std::string& last_error() const { return last_error_; }

 private:
  struct Probe {
    uint64_t ticket = 0;  // of the topic on probation; 0: none
    uint64_t joined = 0;  // the cycle that was the last one to have begun then
    uint64_t barrier = 0;
  };

  void ReadGaps(TimePoint now);
  void BeginCycle(TimePoint now);
  void OnHorizon(const ReadResult<XactHorizon>& result);
  void NextChunk();
  void OnChunk(const std::vector<TopicId>& ids, ReadResult<PollAnswer>& result);
  void EndCycle(TimePoint now);
  template <typename T>
  void FailCycle(const ReadResult<T>& result);
  bool InCycle(TopicId id);
  Probe* ProbeOf(TopicId id);
  void EndProbationIfOver(TopicId id);
  void Poll(std::vector<TopicId> ids, std::function<void(const std::vector<TopicId>&, ReadResult<PollAnswer>&)> done);
  // Offers a topic's run; returns how many events were new. `more`: read on at once.
  size_t Take(const std::vector<TopicId>& ids, PollAnswer& answer, std::vector<TopicId>* more);

  const JournalTailOptions options_;
  TopicOrder& order_;
  JournalReader& reader_;
  EpochBoard& board_;
  const std::function<void(Task)> post_;
  PgSourceStats& stats_;
  std::vector<EventRef>& out_;
  const std::function<void()> on_stale_;

  uint64_t epoch_ = 0;
  bool sweep_ = true;
  bool healthy_ = false;
  std::string last_error_;

  bool gaps_in_flight_ = false;
  std::vector<TopicId> more_gaps_;  // whose reads ended at a limit

  enum class Phase : uint8_t { kIdle, kHorizon, kPolling };
  Phase phase_ = Phase::kIdle;
  uint64_t cycle_ = 0;  // number of the last one begun
  TimePoint cycle_start_{};
  TimePoint next_cycle_{};
  TopicSlot next_slot_ = 0;
  std::vector<TopicId> again_;  // topics of the cycle whose reads ended at a limit
  XactHorizon horizon_;
  Backoff failures_;
  Backoff probation_pauses_;

  std::vector<Probe> probes_;  // by slot
  size_t on_probation_ = 0;    // probes with a ticket; may count topics that are unfollowed already
  TimePoint next_undecodable_log_{};
};

}  // namespace oasync::pg
