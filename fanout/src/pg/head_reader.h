// HeadReader: asks the journal for the heads of topics, in chunks and again until it is answered. Tail thread only.
//
// Two uses: a topic that begins to be followed needs its head; and after a reconnect no head may be lower than what
// was delivered already. The latter can only be judged with patience, because a commit is decoded a little before
// it is visible: a topic counts as gone back when its head stayed too low for several seconds.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <unordered_map>
#include <vector>

#include "clock.h"
#include "epoch_board.h"
#include "journal_reader.h"
#include "mailbox.h"
#include "topic_order.h"

namespace oasync::pg {

class HeadReader {
 public:
  // Called on the tail thread with a topic that is followed.
  using OnState = std::function<void(TopicId, const TopicState&)>;

  // `on_head` answers Need(); `on_regress` tells of a topic whose journal went back below what was delivered,
  // `on_breach` of one that retention has taken away before it was delivered.
  HeadReader(TopicOrder* order, JournalReader* reader, EpochBoard* board, std::function<void(Task)> post,
             OnState on_head, OnState on_regress, OnState on_breach);

  // Asks for the head of a topic that waits for its Begin(). Heads of sessions of other epochs are not accepted.
  void Need(TopicId id) { needed_.push_back(id); }
  // Looks once at the heads of all topics that are being delivered.
  void CheckAll() { check_slot_ = 0; }

  void Tick(TimePoint now, uint64_t epoch);
  TimePoint Deadline() const;

 private:
  struct Suspect {
    TopicId id;
    uint64_t delivered = 0;
    int strikes = 0;
  };

  void Ask(std::vector<TopicId> ids, uint64_t epoch);
  void OnAnswer(const std::vector<TopicId>& ids, uint64_t epoch, const ReadResult<std::vector<TopicState>>& result);
  void Check(TopicId id, const TopicState& state, TimePoint now);

  TopicOrder& order_;
  JournalReader& reader_;
  EpochBoard& board_;
  const std::function<void(Task)> post_;
  const OnState on_head_;
  const OnState on_regress_;
  const OnState on_breach_;

  std::deque<TopicId> needed_;
  TopicSlot check_slot_ = UINT32_MAX;
  std::unordered_map<uint64_t, Suspect> suspects_;  // by ticket
  TimePoint next_suspect_look_ = TimePoint::max();
  TimePoint not_before_{};
  bool in_flight_ = false;
};

}  // namespace oasync::pg
