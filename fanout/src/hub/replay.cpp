// Hub, part three: pages of the journal, for subscriptions that the window is too young for.
#include <algorithm>
#include <utility>

#include "hub/hub.h"
#include "hub/session.h"

namespace oasync {
namespace {

// Pause before the journal is asked again after a gap or an error; doubles up to the maximum.
constexpr int32_t kRetryMinMs = 50;
constexpr int32_t kRetryMaxMs = 2000;
// Pages that stay with their frames although nobody holds them: a storm's clients take them one after the other.
constexpr size_t kRecentPages = 4;
// When others wait for memory, a page from which no frame was taken for so long goes back. Its reader does not read at
// the moment; it gets the page again, from the cache or the journal, when it does.
constexpr int64_t kHoldMs = 1000;

}  // namespace

void Hub::ReadJournal(Subscription* subscription) {
  Topic* topic = subscription->topic.get();
  if (auto events = environment_.pages.Find(topic->name, subscription->epoch, subscription->cursor)) {
    subscription->replay_source = std::max(subscription->replay_source, ReplaySource::kPageCache);
    return subscription->session->OnPage(subscription, PageOf(topic, subscription->epoch, events));
  }
  subscription->replay_source = ReplaySource::kJournal;
  std::weak_ptr<JournalRead>& under_way = topic->reads[{subscription->epoch, subscription->cursor}];
  if (auto read = under_way.lock()) {
    read->waiters.push_back(subscription);
    subscription->read = std::move(read);
    return;
  }
  auto read = std::make_shared<JournalRead>();
  read->after = subscription->cursor;
  read->epoch = subscription->epoch;
  read->waiters.push_back(subscription);
  subscription->read = read;
  under_way = read;
  // The floor is known of the topic's present history only.
  const uint64_t floor = topic->epoch == read->epoch ? std::min(topic->floor, read->after) : read->after;
  environment_.pages.Read({topic->name, read->epoch, read->after, floor},
                          [this, read, weak_topic = std::weak_ptr(subscription->topic), alive = std::weak_ptr(alive_),
                           post = environment_.executor](auto result) {
                            post([this, read, weak_topic, alive, result = std::move(result)] {
                              if (!alive.expired()) OnJournal(weak_topic, read, result);
                            });
                          });
}

void Hub::OnJournal(const std::weak_ptr<Topic>& weak_topic, const std::shared_ptr<JournalRead>& read,
                    const ReadResult<EventPageRef>& result) {
  const TopicRef topic = weak_topic.lock();
  if (!topic) return;
  topic->reads.erase({read->epoch, read->after});
  if (!result.ok()) WarnOfRead("the journal", result.error);
  // Waiters may leave their topics while others are served.
  const std::vector<Subscription*> waiters = std::exchange(read->waiters, {});
  if (waiters.empty()) return;
  const PageRef page = result.value ? PageOf(topic.get(), read->epoch, result.value) : nullptr;
  for (Subscription* subscription : waiters) {
    subscription->read.reset();
    if (!page) {
      subscription->session->OnReplayGap(subscription);
    } else {
      topic->retry_delay_ms = 0;
      subscription->session->OnPage(subscription, page);
    }
  }
}

// This loop's view of the page: the one that others here use, if there is one.
PageRef Hub::PageOf(Topic* topic, uint64_t epoch, const EventPageRef& events) {
  std::weak_ptr<JournalPage>& known = topic->pages[{epoch, events->after()}];
  if (PageRef page = known.lock(); page && page->events == events) return page;
  PageRef page = std::make_shared<JournalPage>(events);
  known = page;
  std::erase_if(topic->pages, [](const auto& entry) { return entry.second.expired(); });
  recent_pages_.push_back(page);
  if (recent_pages_.size() > kRecentPages) recent_pages_.pop_front();
  return page;
}

ReplayPlaceRef Hub::AdmitReplay(int64_t* retry_after_ms) {
  ReplayPlaceRef place = environment_.admission.AdmitReplay(NowMs(), retry_after_ms);
  if (place) replay_places_.push_back(place);
  return place;
}

void Hub::EndOldReplays(int64_t now) {
  while (!replay_places_.empty()) {
    if (const ReplayPlaceRef place = replay_places_.front().lock()) {
      if (now - place->begun_ms() < ReplayPlace::kMostMs) return;
      place->Release();
    }
    replay_places_.pop_front();
  }
}

void Hub::OnPageReleased() {
  if (environment_.pages.HasWaiting()) environment_.pages.Proceed();
}

// Memory for pages is used up, and somebody waits for it.
void Hub::TakeBackPages(int64_t now) {
  recent_pages_.clear();
  if (now >= next_take_back_ms_) {
    next_take_back_ms_ = now + kHoldMs;
    for (const auto& [name, topic] : topics_) {
      for (Subscription* subscription : topic->subscriptions) {
        if (subscription->page && now - subscription->page_at_ms >= kHoldMs) {
          subscription->session->GiveBackPage(subscription);
        }
      }
    }
  }
  environment_.pages.Proceed();
}

void Hub::RetryLater(Subscription* subscription) {
  Topic* topic = subscription->topic.get();
  subscription->waits_for_retry = true;
  counters().replay_gap_waits.Add();
  if (topic->retry_at_ms != 0) return;
  topic->retry_delay_ms = std::clamp(topic->retry_delay_ms * 2, kRetryMinMs, kRetryMaxMs);
  topic->retry_at_ms = NowMs() + topic->retry_delay_ms;
  retrying_.push_back(subscription->topic);
}

void Hub::RetryTopic(const TopicRef& topic) {
  topic->retry_at_ms = 0;
  // What is missing may be a commit on its way, or gone by retention: the floor tells.
  ReadStates({topic->name}, [this, weak = std::weak_ptr(topic)](ReadResult<std::vector<TopicState>> result) {
    const TopicRef found = weak.lock();
    if (!found) return;
    bool needs_review = false;
    for (Subscription* subscription : std::vector<Subscription*>(found->subscriptions)) {
      if (!subscription->waits_for_retry) continue;
      subscription->waits_for_retry = false;
      const TopicState state = result.ok() ? result.value.front() : TopicState();
      if (subscription->epoch < found->epoch && state.epoch < found->epoch) {
        RetryLater(subscription);  // no answer, or one from before the change: it still has to be reviewed
      } else if (subscription->epoch < state.epoch) {
        // Reviewed when the tail has taken note of the epoch as well, which may have been before.
        if (found->epoch == state.epoch) {
          needs_review = true;
        } else {
          RetryLater(subscription);
        }
      } else if (subscription->epoch == state.epoch && subscription->cursor < state.floor) {
        subscription->session->DropStale(subscription, StaleReason::kRetentionFloorBreach, state);
      } else {
        subscription->session->OnTopicAdvanced(subscription);
      }
    }
    if (needs_review) ReviewEarlierEpochs(found, result.value.front());
  });
}

}  // namespace oasync
