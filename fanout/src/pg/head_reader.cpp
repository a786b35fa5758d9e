#include "head_reader.h"

#include <algorithm>
#include <utility>

namespace oasync::pg {

namespace {

constexpr size_t kTopicsPerRead = 2000;
constexpr Millis kPauseAfterFailure{100};
constexpr Millis kSuspectInterval{1000};
constexpr int kStrikes = 10;

}  // namespace

HeadReader::HeadReader(TopicOrder* order, JournalReader* reader, EpochBoard* board, std::function<void(Task)> post,
                       OnState on_head, OnState on_regress, OnState on_breach)
    : order_(*order),
      reader_(*reader),
      board_(*board),
      post_(std::move(post)),
      on_head_(std::move(on_head)),
      on_regress_(std::move(on_regress)),
      on_breach_(std::move(on_breach)) {}

TimePoint HeadReader::Deadline() const {
  if (in_flight_) return TimePoint::max();
  if (!needed_.empty() || check_slot_ < order_.slot_count()) return not_before_;
  return suspects_.empty() ? TimePoint::max() : std::max(next_suspect_look_, not_before_);
}

void HeadReader::Tick(TimePoint now, uint64_t epoch) {
  if (in_flight_ || now < not_before_) return;
  std::vector<TopicId> ids;
  for (; ids.size() < kTopicsPerRead && !needed_.empty(); needed_.pop_front()) {
    const TopicId id = needed_.front();
    if (order_.Valid(id) && order_.waiting(id)) ids.push_back(id);
  }
  for (; ids.size() < kTopicsPerRead && check_slot_ < order_.slot_count(); ++check_slot_) {
    TopicId id;
    if (order_.At(check_slot_, &id) && !order_.waiting(id)) ids.push_back(id);
  }
  if (now >= next_suspect_look_) {
    for (const auto& [ticket, suspect] : suspects_) {
      if (ids.size() >= kTopicsPerRead) break;
      ids.push_back(suspect.id);
    }
    next_suspect_look_ = suspects_.empty() ? TimePoint::max() : now + kSuspectInterval;
  }
  std::erase_if(ids, [this](TopicId id) { return !order_.Valid(id); });
  if (!ids.empty()) Ask(std::move(ids), epoch);
}

void HeadReader::Ask(std::vector<TopicId> ids, uint64_t epoch) {
  std::vector<std::string> topics;
  topics.reserve(ids.size());
  for (const TopicId id : ids) topics.push_back(order_.name(id));
  in_flight_ = true;
  reader_.Heads(std::move(topics), [this, ids = std::move(ids), epoch](ReadResult<std::vector<TopicState>> result) {
    post_([this, ids, epoch, result = std::move(result)] { OnAnswer(ids, epoch, result); });
  });
}

void HeadReader::OnAnswer(const std::vector<TopicId>& ids, uint64_t epoch,
                          const ReadResult<std::vector<TopicState>>& result) {
  in_flight_ = false;
  const TimePoint now = Clock::now();
  if (!result.ok()) not_before_ = now + kPauseAfterFailure;
  for (size_t i = 0; i < ids.size(); ++i) {
    const TopicId id = ids[i];
    if (!order_.Valid(id)) continue;
    if (!result.ok()) {
      if (order_.waiting(id)) needed_.push_back(id);
      continue;
    }
    const TopicState& state = result.value[i];
    if (state.epoch != board_.current() || (epoch != 0 && state.epoch != epoch)) {
      // The epoch grew meanwhile: every topic is asked for again when the tail has taken note of it.
      board_.Offer(state.epoch);
      if (order_.waiting(id)) needed_.push_back(id);
      not_before_ = now + kPauseAfterFailure;
    } else if (order_.waiting(id)) {
      on_head_(id, state);
    } else {
      Check(id, state, now);
    }
  }
}

void HeadReader::Check(TopicId id, const TopicState& state, TimePoint now) {
  // What follows will never come: the tail was away for longer than the topic's events are kept.
  if (order_.delivered(id) < state.floor) {
    suspects_.erase(id.ticket);
    return on_breach_(id, state);
  }
  const auto known = suspects_.find(id.ticket);
  if (known == suspects_.end()) {
    order_.Observe(id, state.head, now);
    if (std::max(state.head, state.allocated) >= order_.delivered(id)) return;
    suspects_.emplace(id.ticket, Suspect{id, order_.delivered(id), 1});
    next_suspect_look_ = std::min(next_suspect_look_, now + kSuspectInterval);
    return;
  }
  Suspect& suspect = known->second;
  if (std::max(state.head, state.allocated) >= suspect.delivered) {
    suspects_.erase(known);
  } else if (++suspect.strikes >= kStrikes) {
    suspects_.erase(known);
    on_regress_(id, state);
  }
}

}  // namespace oasync::pg
