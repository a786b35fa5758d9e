// LogicalTail: keeps a ReplicationStream alive, from one connection to the next. For the tail thread only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "clock.h"
#include "conninfo.h"
#include "epoch_board.h"
#include "pg_source.h"
#include "replication_stream.h"

namespace oasync::pg {

class LogicalTail {
 public:
  // `schema`: empty for that of the extension. `board` and `stats` must outlive it.
  LogicalTail(Conninfo conninfo, std::string schema, Backoff backoff, EpochBoard* board, PgSourceStats* stats);

  // Does what can be done now: opens a stream when its time has come, moves it on, notices its end.
  void Advance(TimePoint now);
  // The next update received, or false. The view is good until the next call.
  bool Next(TimePoint now, std::string_view* update);
  // Acknowledges what Next() gave; call it after Next() has returned false.
  void Acknowledge(TimePoint now);

  // Whether everything that commits from now on comes by Next(). It never becomes false and true again between two
  // calls of Advance() without generation() having grown.
  bool live() const { return live_; }
  uint64_t generation() const { return generation_; }
  // When the server was last heard of; only while live.
  TimePoint last_heard() const { return stream_->last_heard(); }

  int fd() const { return stream_ ? stream_->fd() : -1; }
  short poll_events() const { return stream_ ? stream_->poll_events() : short{0}; }
  // When to Advance() at the latest.
  TimePoint Deadline() const { return stream_ ? stream_->Deadline() : next_attempt_; }

  // Ends the stream in favour of a new one, after a pause.
  void GiveUp(TimePoint now, TailReason reason, const std::string& why);

  // Of the slot that exists or is being created; empty when there is none.
  std::string slot_name() const;
  uint64_t wal_position() const { return stream_ ? stream_->wal_position() : 0; }
  // How the last live stream ended: as a reason, and in words.
  TailReason loss() const { return loss_; }
  const std::string& why() const { return why_; }

  // The backend that is creating the slot, or 0. It does not notice by itself that its client has gone.
  int creating_backend() const;

 private:
  void DropFormer(TimePoint now);
  void Open(TimePoint now);
  void OnState(TimePoint now);
  void OnFailure(TimePoint now);
  void Pause(TimePoint now);
  void NoteState();

  Conninfo conninfo_;
  const std::string schema_;
  Backoff backoff_;
  EpochBoard* const board_;
  PgSourceStats* const stats_;
  std::optional<ReplicationStream> stream_;
  ReplicationStream::State known_state_ = ReplicationStream::State::kConnecting;
  TimePoint next_attempt_{};
  TimePoint live_since_{};
  bool live_ = false;
  bool failure_logged_ = false;
  TailReason loss_ = TailReason::kSlotLost;
  std::string why_;
  uint64_t generation_ = 0;
};

}  // namespace oasync::pg
