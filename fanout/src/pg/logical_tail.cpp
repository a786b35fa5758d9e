#include "logical_tail.h"

#include <fmt/format.h>
#include <unistd.h>

#include <random>
#include <utility>

#include "base/log.h"

namespace oasync::pg {

namespace {

using State = ReplicationStream::State;

// A stream that lived this long was a good one: the next attempt follows without a longer pause.
constexpr Millis kGoodLife{10'000};

std::string NewSlotName() {
  std::random_device random;
  return fmt::format("oa_sync_{}_{:08x}", getpid(), random());
}

}  // namespace

LogicalTail::LogicalTail(Conninfo conninfo, std::string schema, Backoff backoff, EpochBoard* board,
                         PgSourceStats* stats)
    : conninfo_(std::move(conninfo)), schema_(std::move(schema)), backoff_(backoff), board_(board), stats_(stats) {}

void LogicalTail::Advance(TimePoint now) {
  DropFormer(now);
  if (!stream_) {
    if (now < next_attempt_) return;
    Open(now);
  } else {
    stream_->Advance(now);
  }
  OnState(now);
  NoteState();
}

void LogicalTail::NoteState() {
  SlotState state = SlotState::kNone;
  if (live_) {
    state = SlotState::kLive;
  } else if (stream_) {
    state = stream_->state() >= State::kCreatingSlot ? SlotState::kCreating : SlotState::kConnecting;
  }
  stats_->slot_state.store(static_cast<uint8_t>(state), std::memory_order_relaxed);
  const auto told = stats_->slot_name.Get();
  std::string name = slot_name();
  if (!told || *told != name) stats_->slot_name.Set(std::make_shared<const std::string>(std::move(name)));
}

std::string LogicalTail::slot_name() const {
  return stream_ && stream_->state() >= State::kCreatingSlot && stream_->state() != State::kFailed
             ? stream_->slot_name()
             : std::string();
}

void LogicalTail::GiveUp(TimePoint now, TailReason reason, const std::string& why) {
  if (!stream_) return;
  LogWarn("tail.slot_given_up", "tail: slot {slot} is given up: {why}", {{"slot", stream_->slot_name()}, {"why", why}});
  if (live_) stats_->reconnects.fetch_add(1, std::memory_order_relaxed);
  stats_->slot_wal_position.store(0, std::memory_order_relaxed);
  loss_ = reason;
  why_ = why;
  live_ = false;
  stream_.reset();
  Pause(now);
}

void LogicalTail::Pause(TimePoint now) { next_attempt_ = now + backoff_.Next(); }

// A former primary may live on and keep its stream good, while the journal is that of the new one.
void LogicalTail::DropFormer(TimePoint now) {
  if (!stream_ || stream_->epoch() == 0 || stream_->epoch() >= board_->current()) return;
  GiveUp(now, TailReason::kFormerPrimary,
         fmt::format("it is of epoch {}, the database's is {} now", stream_->epoch(), board_->current()));
}

void LogicalTail::Open(TimePoint now) {
  known_state_ = State::kConnecting;
  stream_.emplace(&conninfo_, schema_, NewSlotName(), now);
}

void LogicalTail::OnState(TimePoint now) {
  const State state = stream_->state();
  if (state == State::kFailed) return OnFailure(now);
  if (state == known_state_) return;
  known_state_ = state;
  if (state == State::kCreatingSlot) {
    if (!board_->Offer(stream_->epoch())) {
      if (!failure_logged_)
        LogWarn("tail.former_primary", "tail: the server is behind in epochs (a former primary?), no slot there");
      failure_logged_ = true;
      conninfo_.RotateHosts();  // or it would be the first again
      stream_.reset();
      return Pause(now);
    }
    // Not again for every attempt after one that failed.
    if (!failure_logged_)
      LogInfo("tail.slot_creating", "tail: creating slot {slot}, after the open transactions",
              {{"slot", stream_->slot_name()}});
  } else if (state == State::kStreaming) {
    LogInfo("tail.slot_live", "tail: slot {slot} is live", {{"slot", stream_->slot_name()}});
    stats_->connects.fetch_add(1, std::memory_order_relaxed);
    live_ = true;
    live_since_ = now;
    failure_logged_ = false;
    ++generation_;
  }
}

void LogicalTail::OnFailure(TimePoint now) {
  // What is starting or being promoted is asked at a steady pace, and what is away ever more seldom.
  if (stream_->not_yet()) backoff_.Reset();
  if (live_) {
    loss_ = stream_->not_yet() ? TailReason::kServerGoing : TailReason::kSlotLost;
    why_ = stream_->error();
    LogWarn("tail.slot_lost", "tail: slot {slot} lost: {why}",
            {{"slot", stream_->slot_name()}, {"why", stream_->error()}});
    stats_->reconnects.fetch_add(1, std::memory_order_relaxed);
    stats_->slot_wal_position.store(0, std::memory_order_relaxed);
    if (now - live_since_ >= kGoodLife) backoff_.Reset();
  } else if (!failure_logged_) {
    LogWarn("tail.no_slot", "tail: no slot, trying on: {why}", {{"why", stream_->error()}});
    failure_logged_ = true;
  }
  live_ = false;
  stream_.reset();
  Pause(now);
}

bool LogicalTail::Next(TimePoint now, std::string_view* update) {
  if (!live_) return false;
  if (stream_->Next(now, update)) {
    stats_->stream_messages.fetch_add(1, std::memory_order_relaxed);
    stats_->stream_bytes.fetch_add(update->size(), std::memory_order_relaxed);
    return true;
  }
  OnState(now);
  return false;
}

void LogicalTail::Acknowledge(TimePoint now) {
  if (!live_) return;
  stats_->slot_wal_position.store(stream_->wal_position(), std::memory_order_relaxed);
  stream_->Acknowledge(now);
  OnState(now);
}

int LogicalTail::creating_backend() const {
  return stream_ && stream_->state() == State::kCreatingSlot ? stream_->backend_pid() : 0;
}

}  // namespace oasync::pg
