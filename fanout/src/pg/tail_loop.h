// TailLoop: the tail thread. Brings LogicalTail, JournalTail and HeadReader together and feeds the sink.
//
// Every followed topic goes through the same TopicOrder, wherever its events come from, so that the sources may
// overlap and change at any moment: what the sink gets stays dense and in order.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "clock.h"
#include "epoch_board.h"
#include "head_reader.h"
#include "journal_reader.h"
#include "journal_tail.h"
#include "logical_tail.h"
#include "mailbox.h"
#include "pg_source.h"
#include "topic_order.h"

namespace oasync::pg {

class TailLoop {
 public:
  // `reader` answers only to this loop; `on_turn` is called every turn, for what has to be done now and then.
  // `mailbox` is read by this loop alone. Everything must outlive Stop().
  TailLoop(const PgSourceOptions& options, const Conninfo& conninfo, EventSink* sink, JournalReader* reader,
           Mailbox* mailbox, EpochBoard* board, PgSourceStats* stats, std::function<void(TimePoint)> on_turn);
  ~TailLoop();  // stops

  void Start();
  void Stop();
  // After Stop(): the backend that was creating our slot then, or 0. It has to be ended by hand.
  int abandoned_backend() const { return abandoned_backend_; }

  // Tail thread only (post them).
  void Follow(const std::string& topic);
  void Unfollow(const std::string& topic);
  void CheckHeads() { heads_.CheckAll(); }

 private:
  void Run();
  void Turn();
  bool DrainStream(TimePoint now);
  void OnUpdate(std::string_view update, TimePoint now);
  void OnHead(TopicId id, const TopicState& state);
  void OnRegress(TopicId id, const TopicState& state);
  void OnBreach(TopicId id, const TopicState& state);
  void StartOver(TopicId id);
  void AdoptEpoch();
  void NoteStream(TimePoint now);
  void Deliver();
  void SetMode(TimePoint now);
  void Wait(TimePoint now, bool more);

  const bool use_slot_;
  EventSink& sink_;
  JournalReader& reader_;
  Mailbox& mailbox_;
  EpochBoard& board_;
  PgSourceStats& stats_;
  const std::function<void(TimePoint)> on_turn_;

  std::vector<EventRef> out_;  // to be delivered at the end of this turn
  TopicOrder order_;
  JournalTail journal_;
  HeadReader heads_;
  LogicalTail logical_;

  uint64_t epoch_ = 0;
  uint64_t generation_ = 0;  // of the stream, as noted
  bool stream_good_ = false;
  TailMode mode_ = TailMode::kDown;
  TimePoint next_decode_log_{};

  std::atomic<bool> stopping_{false};
  int abandoned_backend_ = 0;
  std::thread thread_;
};

}  // namespace oasync::pg
