// Hub, part two: what becomes of subscriptions when the database begins a new epoch.
//
// A promotion that lost nothing, or a dump that is whole, goes on where the earlier epoch ended: subscriptions at or
// before that place go on too, and nobody notices. Those beyond it have seen events that never happened here, and
// are told epoch_diverged.
#include <algorithm>
#include <utility>

#include "hub/hub.h"
#include "hub/session.h"

namespace oasync {
namespace {

constexpr size_t kReviewsAtOnce = 1000;

}  // namespace

void Hub::OnOtherEpoch(const TopicRef& topic, const TopicState& state, bool is_repeat) {
  const uint64_t last = std::max(state.head, state.allocated);
  bool needs_review = false;
  for (Subscription* subscription : std::vector<Subscription*>(topic->subscriptions)) {
    // One of a later epoch subscribed after a change that the tail has yet to notice: it waits for that. The first
    // state may be older than the one that the subscription was accepted with; a repeat is not.
    const bool is_ahead =
        is_repeat && subscription->epoch == state.epoch &&
        (subscription->cursor > last || (subscription->page && subscription->page->events->through() > last));
    if (subscription->epoch < state.epoch) {
      needs_review = true;
    } else if (is_ahead) {
      subscription->session->DropStale(subscription, StaleReason::kCursorAheadOfHead, state);
    }
  }
  if (needs_review) ReviewEarlierEpochs(topic, state);
}

// Asks what the topic shares with the earlier epochs of its subscriptions. Until the answer is there they stand still:
// the window is not theirs, and their journal reads end where the epoch did.
void Hub::ReviewEarlierEpochs(const TopicRef& topic, const TopicState& state) {
  waiting_reviews_.push_back({topic, state});
  if (!review_under_way_) AskForReviews();
}

// After a failover every topic that is followed is reviewed: many in one question.
void Hub::AskForReviews() {
  if (waiting_reviews_.empty()) return;
  review_under_way_ = true;
  std::vector<Review> reviews;
  std::vector<std::string> names;
  while (!waiting_reviews_.empty() && reviews.size() < kReviewsAtOnce) {
    reviews.push_back(std::move(waiting_reviews_.front()));
    waiting_reviews_.pop_front();
    names.push_back(reviews.back().state.topic);
  }
  ReadHistories(std::move(names), [this, reviews = std::move(reviews)](auto result) {
    review_under_way_ = false;
    for (size_t i = 0; i < reviews.size(); ++i) {
      const TopicRef topic = reviews[i].topic.lock();
      // A still newer epoch has had, or will have, a review of its own.
      if (!topic || topic->epoch != reviews[i].state.epoch) continue;
      ReadResult<std::vector<SharedHistory>> own;
      own.error = result.error;
      if (own.ok()) own.value = std::move(result.value[i]);
      ContinueOrDrop(topic.get(), reviews[i].state, own);
    }
    if (!review_under_way_) AskForReviews();
  });
}

void Hub::ContinueOrDrop(Topic* topic, const TopicState& state,
                         const ReadResult<std::vector<SharedHistory>>& histories) {
  for (Subscription* subscription : std::vector<Subscription*>(topic->subscriptions)) {
    if (subscription->epoch >= state.epoch) continue;
    if (!histories.ok()) {
      if (!subscription->waits_for_retry) RetryLater(subscription);
      continue;
    }
    if (Shares(histories.value, subscription->epoch, subscription->sent)) {
      subscription->session->ContinueIn(subscription, state);
    } else {
      subscription->session->DropStale(subscription, StaleReason::kEpochDiverged, state);
    }
  }
}

void Hub::ReadHistories(std::vector<std::string> topics, HistoriesCallback done) {
  environment_.source.ReadHistories(std::move(topics), [this, done = std::move(done), alive = std::weak_ptr(alive_),
                                                        post = environment_.executor](auto result) mutable {
    post([this, done = std::move(done), alive, result = std::move(result)]() mutable {
      if (alive.expired()) return;
      if (!result.ok()) WarnOfRead("topic histories", result.error);
      done(std::move(result));
    });
  });
}

}  // namespace oasync
