#include "journal_tail.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/log.h"

namespace oasync::pg {

namespace {

// Topics of one query, and what it may bring of each.
constexpr size_t kTopicsPerPoll = 500;
constexpr uint32_t kEventsPerTopic = 500;
constexpr uint64_t kBytesPerPoll = 32 << 20;
constexpr uint64_t kLeastBytesPerTopic = 64 << 10;
// object_not_in_prerequisite_state: the cursor of one of the topics is below its floor.
constexpr char kStaleCursor[] = "55000";
constexpr Millis kUndecodableLogInterval{10'000};

}  // namespace

JournalTail::JournalTail(JournalTailOptions options, TopicOrder* order, JournalReader* reader, EpochBoard* board,
                         std::function<void(Task)> post, PgSourceStats* stats, std::vector<EventRef>* out,
                         std::function<void()> on_stale)
    : options_(options),
      order_(*order),
      reader_(*reader),
      board_(*board),
      post_(std::move(post)),
      stats_(*stats),
      out_(*out),
      on_stale_(std::move(on_stale)),
      failures_(options.poll, options.retry_max),
      probation_pauses_(options.poll, options.probation_pause_max) {}

void JournalTail::SetSweep(bool sweep) {
  if (sweep && !sweep_) next_cycle_ = TimePoint{};
  sweep_ = sweep;
}

void JournalTail::StartProbation(TopicId id) {
  if (probes_.size() <= id.slot) probes_.resize(id.slot + 1);
  Probe& probe = probes_[id.slot];
  if (probe.ticket == 0) ++on_probation_;
  probe = {id.ticket, cycle_, 0};
  probation_pauses_.Reset();
  next_cycle_ = std::min(next_cycle_, cycle_start_ + options_.poll);
}

TimePoint JournalTail::Deadline() const {
  TimePoint deadline = gaps_in_flight_ ? TimePoint::max() : order_.NextGap();
  if (phase_ == Phase::kIdle && (sweep_ || on_probation_ > 0)) deadline = std::min(deadline, next_cycle_);
  return deadline;
}

void JournalTail::Tick(TimePoint now) {
  if (!gaps_in_flight_) ReadGaps(now);
  if (phase_ == Phase::kIdle && (sweep_ || on_probation_ > 0) && now >= next_cycle_) BeginCycle(now);
}

void JournalTail::ReadGaps(TimePoint now) {
  std::vector<TopicId> due = std::exchange(more_gaps_, {});
  order_.TakeDueGaps(now, kTopicsPerPoll - std::min(due.size(), kTopicsPerPoll), &due);
  std::erase_if(due, [this](TopicId id) { return !order_.Valid(id) || order_.waiting(id); });
  if (due.empty()) return;
  gaps_in_flight_ = true;
  Poll(std::move(due), [this](const std::vector<TopicId>& ids, ReadResult<PollAnswer>& result) {
    gaps_in_flight_ = false;
    if (result.sqlstate == kStaleCursor) on_stale_();
    // After a failure the gap is due again soon.
    if (result.ok()) stats_.gaps_filled.fetch_add(Take(ids, result.value, &more_gaps_), std::memory_order_relaxed);
  });
}

void JournalTail::BeginCycle(TimePoint now) {
  ++cycle_;
  cycle_start_ = now;
  phase_ = Phase::kHorizon;
  next_slot_ = 0;
  again_.clear();
  // Without a stream there is nothing to be on probation for (and no ids to be had from a standby).
  const bool assign = !sweep_ && std::any_of(probes_.begin(), probes_.end(), [](const Probe& probe) {
    return probe.ticket != 0 && probe.barrier == 0;
  });
  reader_.Horizon(assign, [this](ReadResult<XactHorizon> result) {
    post_([this, result = std::move(result)] { OnHorizon(result); });
  });
}

template <typename T>
void JournalTail::FailCycle(const ReadResult<T>& result) {
  phase_ = Phase::kIdle;
  if (result.sqlstate == kStaleCursor) {
    // The journal answers; the topic starts over, and then the others are read as well.
    on_stale_();
    next_cycle_ = Clock::now() + options_.poll;
    return;
  }
  healthy_ = false;
  last_error_ = result.error;
  next_cycle_ = Clock::now() + failures_.Next();
}

void JournalTail::OnHorizon(const ReadResult<XactHorizon>& result) {
  if (!result.ok()) return FailCycle(result);
  horizon_ = result.value;
  phase_ = Phase::kPolling;
  for (Probe& probe : probes_) {
    if (probe.ticket != 0 && probe.barrier == 0 && probe.joined < cycle_) probe.barrier = horizon_.assigned;
  }
  NextChunk();
}

JournalTail::Probe* JournalTail::ProbeOf(TopicId id) {
  if (id.slot >= probes_.size() || probes_[id.slot].ticket != id.ticket) return nullptr;
  return &probes_[id.slot];
}

bool JournalTail::InCycle(TopicId id) {
  if (order_.waiting(id)) return false;
  if (sweep_) return true;
  const Probe* probe = ProbeOf(id);
  return probe != nullptr && probe->joined < cycle_;
}

void JournalTail::NextChunk() {
  std::vector<TopicId> ids = std::exchange(again_, {});
  std::erase_if(ids, [this](TopicId id) { return !order_.Valid(id) || !InCycle(id); });
  for (; ids.size() < kTopicsPerPoll && next_slot_ < order_.slot_count(); ++next_slot_) {
    TopicId id;
    if (order_.At(next_slot_, &id) && InCycle(id)) ids.push_back(id);
  }
  if (ids.empty()) return EndCycle(Clock::now());
  Poll(std::move(ids),
       [this](const std::vector<TopicId>& ids, ReadResult<PollAnswer>& result) { OnChunk(ids, result); });
}

void JournalTail::OnChunk(const std::vector<TopicId>& ids, ReadResult<PollAnswer>& result) {
  if (!result.ok()) return FailCycle(result);
  const size_t undecodable = result.value.undecodable;
  Take(ids, result.value, &again_);
  if (undecodable == 0) {
    for (const TopicId id : ids) EndProbationIfOver(id);
  }
  NextChunk();
}

void JournalTail::EndProbationIfOver(TopicId id) {
  Probe* probe = ProbeOf(id);
  if (probe == nullptr || probe->barrier == 0 || horizon_.oldest_running < probe->barrier) return;
  if (std::find(again_.begin(), again_.end(), id) != again_.end()) return;
  *probe = {};
  --on_probation_;
}

void JournalTail::EndCycle(TimePoint now) {
  phase_ = Phase::kIdle;
  healthy_ = true;
  failures_.Reset();
  stats_.last_progress_us.store(UnixMicros(), std::memory_order_relaxed);
  // Probes of topics that are not followed any more.
  for (TopicSlot slot = 0; slot < probes_.size(); ++slot) {
    if (probes_[slot].ticket == 0 || order_.Valid({slot, probes_[slot].ticket})) continue;
    probes_[slot] = {};
    --on_probation_;
  }
  // A sweep over very many topics leaves the server a pause of a quarter of its own length.
  next_cycle_ =
      sweep_ ? std::max(cycle_start_ + options_.poll, now + (now - cycle_start_) / 4) : now + probation_pauses_.Next();
}

void JournalTail::Poll(std::vector<TopicId> ids,
                       std::function<void(const std::vector<TopicId>&, ReadResult<PollAnswer>&)> done) {
  std::vector<TopicCursor> cursors;
  cursors.reserve(ids.size());
  for (const TopicId id : ids) cursors.push_back({order_.name(id), order_.delivered(id)});
  const uint64_t bytes = std::max(kBytesPerPoll / cursors.size(), kLeastBytesPerTopic);
  reader_.Poll(std::move(cursors), kEventsPerTopic, bytes,
               [this, ids = std::move(ids), done = std::move(done)](ReadResult<PollAnswer> result) {
                 post_([ids, done, result = std::make_shared<ReadResult<PollAnswer>>(std::move(result))] {
                   done(ids, *result);
                 });
               });
}

size_t JournalTail::Take(const std::vector<TopicId>& ids, PollAnswer& answer, std::vector<TopicId>* more) {
  const TimePoint now = Clock::now();
  if (answer.undecodable > 0) {
    stats_.decode_errors.fetch_add(answer.undecodable, std::memory_order_relaxed);
    if (now >= next_undecodable_log_) {
      LogError("tail.journal_undecodable",
               "tail: {updates} updates of the journal cannot be decoded; their topics wait",
               {{"updates", answer.undecodable}});
      next_undecodable_log_ = now + kUndecodableLogInterval;
    }
  }
  if (answer.epoch != epoch_) return 0;
  size_t fresh = 0;
  for (TopicRun& run : answer.runs) {
    const TopicId id = ids[run.index];
    if (!order_.Valid(id) || order_.waiting(id)) continue;
    for (EventRef& event : run.events) {
      if (event->epoch > epoch_) {  // the epoch grew under an open session
        board_.Offer(event->epoch);
        return fresh;
      }
      if (order_.Offer(id, std::move(event), now, &out_)) ++fresh;
    }
    if (run.more) more->push_back(id);
  }
  return fresh;
}

}  // namespace oasync::pg
