#include "tail_loop.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <utility>

#include "../base/clock.h"
#include "base/log.h"
#include "update_codec.h"

namespace oasync::pg {

namespace {

// Updates taken from the stream before the sink and the other duties get their turn.
constexpr int kUpdatesPerTurn = 1000;
// The journal is read beside a stream that has been silent for this long. It is asked for a sign of life much
// earlier, but a walsender may be busy with a huge transaction.
constexpr Millis kStalledAfter{5000};
constexpr Millis kLongestWait{500};
constexpr Millis kDecodeLogInterval{10'000};

TopicOrderLimits OrderLimits(const PgSourceOptions& options) {
  TopicOrderLimits limits;
  limits.gap_wait = Millis(options.gap_wait_ms);
  return limits;
}

JournalTailOptions TailOptions(const PgSourceOptions& options) {
  JournalTailOptions tail;
  tail.poll = Millis(std::max(options.journal_poll_ms, 1));
  tail.retry_max = Millis(options.reconnect_max_ms);
  return tail;
}

const char* ModeName(TailMode mode) {
  switch (mode) {
    case TailMode::kDown:
      return "down";
    case TailMode::kJournal:
      return "journal";
    case TailMode::kLogical:
      return "logical";
  }
  return "?";
}

}  // namespace

TailLoop::TailLoop(const PgSourceOptions& options, const Conninfo& conninfo, EventSink* sink, JournalReader* reader,
                   Mailbox* mailbox, EpochBoard* board, PgSourceStats* stats, std::function<void(TimePoint)> on_turn)
    : use_slot_(options.tail_auto),
      max_slot_wal_bytes_(options.max_slot_wal_bytes),
      sink_(*sink),
      reader_(*reader),
      mailbox_(*mailbox),
      board_(*board),
      stats_(*stats),
      on_turn_(std::move(on_turn)),
      order_(OrderLimits(options)),
      journal_(
          TailOptions(options), &order_, reader, board, [this](Task task) { mailbox_.Post(std::move(task)); }, stats,
          &out_, [this] { heads_.CheckAll(); }),
      heads_(
          &order_, reader, board, [this](Task task) { mailbox_.Post(std::move(task)); },
          [this](TopicId id, const TopicState& state) { OnHead(id, state); },
          [this](TopicId id, const TopicState& state) { OnRegress(id, state); },
          [this](TopicId id, const TopicState& state) { OnBreach(id, state); }),
      logical_(conninfo, options.schema, Backoff(Millis(options.reconnect_min_ms), Millis(options.reconnect_max_ms)),
               board, stats),
      watch_(
          reader, [this](Task task) { mailbox_.Post(std::move(task)); }, stats) {}

TailLoop::~TailLoop() { Stop(); }

void TailLoop::Start() {
  thread_ = std::thread([this] {
    try {
      Run();
    } catch (const std::exception& e) {
      // Memory is exhausted: nothing else throws here. A fan-out without its tail would be worse than none, and a
      // new one finds everything in the journal.
      LogCritical("tail.ended", "tail: {error}", {{"error", e.what()}});
      std::abort();
    }
  });
}

void TailLoop::Stop() {
  stopping_ = true;
  mailbox_.Wake();
  if (thread_.joinable()) thread_.join();
}

void TailLoop::Run() {
  while (!stopping_) Turn();
  abandoned_backend_ = logical_.creating_backend();
}

void TailLoop::Turn() {
  for (const Task& task : mailbox_.Take()) task();
  const TimePoint now = Clock::now();
  if (board_.current() != epoch_) AdoptEpoch();
  bool more = false;
  if (use_slot_) {
    logical_.Advance(now);
    NoteStream(now);
    more = DrainStream(now);
    NoteStream(now);
    WatchSlot(now);
  }
  heads_.Tick(now, epoch_);
  journal_.Tick(now);
  reader_.Expire(now);
  on_turn_(now);
  Deliver();
  SetMode(now);
  stats_.held_events.store(order_.held_events(), std::memory_order_relaxed);
  Wait(now, more);
}

void TailLoop::Follow(const std::string& topic) {
  TopicId id;
  if (order_.Find(topic, &id)) return;
  if (!IsTopic(topic)) {
    LogWarn("tail.not_a_topic", "tail: not a topic, cannot be followed");
    return;
  }
  // From here on the topic's live events are held: only now may the head be read.
  id = order_.Follow(topic);
  heads_.Need(id);
  stats_.followed_topics.store(order_.size(), std::memory_order_relaxed);
}

void TailLoop::Unfollow(const std::string& topic) {
  TopicId id;
  if (!order_.Find(topic, &id)) return;
  Deliver();  // what was ordered before belongs to the old following
  order_.Unfollow(id);
  stats_.followed_topics.store(order_.size(), std::memory_order_relaxed);
}

void TailLoop::OnHead(TopicId id, const TopicState& state) {
  Deliver();
  sink_.OnFollowing(state);
  order_.Begin(id, state.head, Clock::now(), &out_);
  if (logical_.live()) journal_.StartProbation(id);
}

void TailLoop::OnRegress(TopicId id, const TopicState& state) {
  LogError("tail.topic_went_back",
           "tail: topic {topic} went back from watermark {watermark} to {head} without a new epoch; starting over",
           {{"topic", state.topic}, {"watermark", order_.delivered(id)}, {"head", state.head}});
  StartOver(id);
}

void TailLoop::OnBreach(TopicId id, const TopicState& state) {
  LogWarn("tail.events_gone",
          "tail: the events of topic {topic} that follow watermark {watermark} are gone, its floor is {floor}; "
          "starting over",
          {{"topic", state.topic}, {"watermark", order_.delivered(id)}, {"floor", state.floor}});
  StartOver(id);
}

void TailLoop::StartOver(TopicId id) {
  Deliver();
  order_.Restart(id);
  heads_.Need(id);
}

void TailLoop::AdoptEpoch() {
  Deliver();
  const uint64_t before = std::exchange(epoch_, board_.current());
  journal_.SetEpoch(epoch_);
  stats_.epoch.store(epoch_, std::memory_order_relaxed);
  if (before == 0) return;  // the heads that are being asked for will be of this one
  LogWarn("tail.epoch_changed", "tail: the database's epoch grew from {before} to {epoch}; {topics} topics start over",
          {{"before", before}, {"epoch", epoch_}, {"topics", order_.size()}});
  for (TopicSlot slot = 0; slot < order_.slot_count(); ++slot) {
    TopicId id;
    if (!order_.At(slot, &id)) continue;
    order_.Restart(id);
    heads_.Need(id);
  }
}

void TailLoop::NoteStream(TimePoint now) {
  if (logical_.live() && logical_.generation() != generation_) {
    generation_ = logical_.generation();
    // What was committed before the slot's first position is only in the journal.
    for (TopicSlot slot = 0; slot < order_.slot_count(); ++slot) {
      TopicId id;
      if (order_.At(slot, &id) && !order_.waiting(id)) journal_.StartProbation(id);
    }
    if (generation_ > 1) heads_.CheckAll();
  }
  stream_good_ = logical_.live() && now - logical_.last_heard() < kStalledAfter;
  journal_.SetSweep(!stream_good_);
}

void TailLoop::WatchSlot(TimePoint now) {
  if (was_live_ && !logical_.live() && logical_.loss() == TailReason::kServerGoing) watch_.Inquire();
  was_live_ = logical_.live();
  watch_.Tick(now, logical_.slot_name(), logical_.live() ? logical_.wal_position() : 0);
  if (max_slot_wal_bytes_ == 0 || watch_.retained_bytes() <= max_slot_wal_bytes_) return;
  // An old transaction keeps it from moving on, or what it brings is too much. The journal has it all.
  if (const int backend = logical_.creating_backend(); backend != 0) reader_.Terminate(backend, [] {});
  logical_.GiveUp(now, TailReason::kSlotWal,
                  fmt::format("it holds {} bytes of WAL, more than --max-slot-wal-bytes", watch_.retained_bytes()));
  was_live_ = false;
  watch_.Tick(now, {}, 0);
}

bool TailLoop::DrainStream(TimePoint now) {
  std::string_view update;
  for (int i = 0; i < kUpdatesPerTurn; ++i) {
    if (!logical_.Next(now, &update)) {
      logical_.Acknowledge(now);
      return false;
    }
    OnUpdate(update, now);
  }
  return true;
}

void TailLoop::OnUpdate(std::string_view update, TimePoint now) {
  const auto peek = PeekUpdate(update);
  TopicId id;
  std::string error = "neither topic nor watermark";
  if (peek) {
    if (!order_.Find(peek->topic, &id) || !order_.Wants(id, peek->watermark)) return;
    const EventRef event = DecodeUpdate(update, &error);
    if (event != nullptr && event->topic == peek->topic) {
      if (event->epoch > epoch_ && board_.Offer(event->epoch)) AdoptEpoch();
      if (event->epoch < epoch_) return;  // of a former primary; should it belong here, the journal has it
      order_.Offer(id, event, now, &out_);
      return;
    }
  }
  // The gap that it leaves will be read from the journal.
  stats_.decode_errors.fetch_add(1, std::memory_order_relaxed);
  if (now < next_decode_log_) return;
  LogError("tail.slot_undecodable", "tail: an update of the slot cannot be decoded: {error}", {{"error", error}});
  next_decode_log_ = now + kDecodeLogInterval;
}

void TailLoop::Deliver() {
  if (out_.empty()) return;
  stats_.events.fetch_add(out_.size(), std::memory_order_relaxed);
  sink_.OnEvents(std::exchange(out_, {}));
}

void TailLoop::SetMode(TimePoint now) {
  if (stream_good_) {
    const auto age = std::chrono::duration_cast<std::chrono::microseconds>(now - logical_.last_heard()).count();
    const int64_t heard = UnixMicros() - std::max<int64_t>(age, 0);
    if (heard > stats_.last_progress_us.load(std::memory_order_relaxed)) {
      stats_.last_progress_us.store(heard, std::memory_order_relaxed);
    }
  }
  const auto passed = std::chrono::duration_cast<Millis>(now - mode_noted_);
  stats_.mode_ms[static_cast<size_t>(mode_)].fetch_add(static_cast<uint64_t>(std::max<int64_t>(passed.count(), 0)),
                                                       std::memory_order_relaxed);
  mode_noted_ += passed;
  const TailMode mode = stream_good_ ? TailMode::kLogical : journal_.healthy() ? TailMode::kJournal : TailMode::kDown;
  if (mode == mode_) return;
  const TailReason reason = ReasonOf(mode);
  const std::string why = mode == TailMode::kDown                                  ? ": " + journal_.last_error()
                          : mode_ == TailMode::kLogical && !logical_.why().empty() ? ": " + logical_.why()
                                                                                   : std::string();
  Log(mode == TailMode::kLogical || mode_ == TailMode::kDown ? LogLevel::kInfo : LogLevel::kWarn, "tail.mode_changed",
      "tail: {from} -> {to}, {topics} topics followed, {reason}{why}",
      {{"from", ModeName(mode_)},
       {"to", ModeName(mode)},
       {"topics", order_.size()},
       {"reason", TailReasonName(reason)},
       {"why", why}});
  mode_ = mode;
  stats_.tail_mode.store(static_cast<uint8_t>(mode), std::memory_order_relaxed);
  stats_.last_reason.store(static_cast<uint8_t>(reason), std::memory_order_relaxed);
  stats_.mode_changed_ms.store(SystemClock::WallUs() / 1000, std::memory_order_relaxed);
  stats_.mode_changes[static_cast<size_t>(reason)].fetch_add(1, std::memory_order_relaxed);
  sink_.OnTailMode(mode);
}

// Why the mode changes from mode_ to this one.
TailReason TailLoop::ReasonOf(TailMode mode) const {
  if (mode == TailMode::kLogical) return TailReason::kSlotLive;
  if (mode == TailMode::kDown) return TailReason::kJournalFailed;
  if (mode_ == TailMode::kLogical) return logical_.live() ? TailReason::kSlotSilent : logical_.loss();
  return stats_.mode_ms[static_cast<size_t>(TailMode::kJournal)] == 0 &&
                 stats_.mode_ms[static_cast<size_t>(TailMode::kLogical)] == 0
             ? TailReason::kStarted
             : TailReason::kJournalBack;
}

void TailLoop::Wait(TimePoint now, bool more) {
  if (more || stopping_) return;
  TimePoint until = std::min({now + kLongestWait, heads_.Deadline(), journal_.Deadline()});
  if (use_slot_) until = std::min(until, logical_.Deadline());
  pollfd fds[2] = {{mailbox_.fd(), POLLIN, 0}, {logical_.fd(), logical_.poll_events(), 0}};
  const nfds_t count = logical_.fd() >= 0 ? 2 : 1;
  poll(fds, count, PollTimeout(Clock::now(), until, static_cast<int>(kLongestWait.count())));
}

}  // namespace oasync::pg
