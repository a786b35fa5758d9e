// Session, part three: subscriptions and how their batches are cut.

#include <algorithm>
#include <chrono>

#include "hub/session.h"

namespace oasync {
namespace {

constexpr int64_t kUsPerMs = 1000;

void CountBuilt(LoopCounters* counters, const Frame& frame, std::chrono::steady_clock::time_point begun) {
  const auto taken = std::chrono::steady_clock::now() - begun;
  counters->frames_encoded.Add();
  counters->encode_ns.Add(std::chrono::duration_cast<std::chrono::nanoseconds>(taken).count());
  counters->batch_updates.Observe(frame.updates);
  counters->batch_bytes.Observe(static_cast<int64_t>(frame.size()));
}

}  // namespace

Subscription* Session::Find(std::string_view topic) const {
  for (const auto& subscription : subscriptions_) {
    if (subscription->topic->name == topic) return subscription.get();
  }
  return nullptr;
}

void Session::AddSubscription(const TopicRef& topic, const TopicPosition& position, uint32_t max_events,
                              const ReplayPlaceRef& place) {
  auto subscription = std::make_unique<Subscription>();
  subscription->session = this;
  subscription->topic = topic;
  subscription->sent = subscription->cursor = position.watermark;
  subscription->goal = position.head;
  subscription->epoch = position.epoch;
  subscription->max_events = max_events;
  subscription->tier = topic->policy.qos;
  subscription->since_ms = hub_.NowMs();
  subscription->is_replaying = subscription->cursor < subscription->goal;
  if (NeedsJournal(*subscription)) subscription->place = place;
  hub_.Attach(subscription.get());
  subscriptions_.push_back(std::move(subscription));
  OnTopicAdvanced(subscriptions_.back().get());
}

void Session::RemoveSubscription(Subscription* subscription) {
  if (subscription->state == Subscription::State::kReady) ready_.Remove(subscription);
  if (subscription->state == Subscription::State::kBlocked) blocked_.Remove(subscription);
  const bool held_slot = subscription->read != nullptr || subscription->page != nullptr;
  hub_.Detach(subscription);
  std::erase_if(subscriptions_, [&](const auto& owned) { return owned.get() == subscription; });
  if (held_slot) FreeSlot();
}

void Session::MakeReady(Subscription* subscription) {
  if (subscription->state != Subscription::State::kIdle) return;
  subscription->state = Subscription::State::kReady;
  ready_.Push(subscription);
  socket_.WantWrite();
}

void Session::OnTopicAdvanced(Subscription* subscription) {
  if (HasMore(*subscription)) MakeReady(subscription);
}

void Session::OnPage(Subscription* subscription, const PageRef& page) {
  subscription->page = page;  // takes over the slot of the read
  subscription->page_at_ms = hub_.NowMs();
  MakeReady(subscription);
}

void Session::OnReplayGap(Subscription* subscription) {
  hub_.RetryLater(subscription);
  FreeSlot();
}

void Session::DropStale(Subscription* subscription, StaleReason reason, const TopicState& state) {
  hub_.environment().shared.stale.Add(StaleReasonName(reason));
  PushEvent(
      "sync:error",
      StaleCursorJson({{state.topic, reason, subscription->sent, state.floor, state.head, state.epoch, state.policy}}));
  RemoveSubscription(subscription);
}

void Session::ContinueIn(Subscription* subscription, const TopicState& state) {
  // What was read but not sent is of the earlier epoch, and read again.
  if (subscription->read != nullptr || subscription->page != nullptr) {
    hub_.StopReading(subscription);
    ReleasePage(subscription);
  }
  subscription->cursor = subscription->sent;
  subscription->epoch = state.epoch;
  subscription->goal = std::max(subscription->sent, state.head);
  OnTopicAdvanced(subscription);
}

FrameRef Session::NextFrame() {
  if (!control_.empty()) {
    FrameRef frame = std::move(control_.front());
    control_.erase(control_.begin());
    if (control_.empty()) control_.shrink_to_fit();
    return frame;
  }
  while (!ready_.empty()) {
    Subscription* subscription = ready_.Pop();
    subscription->state = Subscription::State::kIdle;
    FrameRef frame = TakeBatch(subscription);
    if (!frame) continue;
    // To the end of the line: the other topics come first now.
    if (HasMore(*subscription)) MakeReady(subscription);
    return frame;
  }
  return nullptr;
}

// Whether the topic's window is of the subscription's history. It is not while the tail has yet to notice a new epoch.
bool Session::HasWindow(const Subscription& subscription) {
  const Topic& topic = *subscription.topic;
  return topic.following && topic.epoch == subscription.epoch;
}

// Whether the journal has to be read before the subscription can go on.
bool Session::NeedsJournal(const Subscription& subscription) {
  return subscription.cursor < (HasWindow(subscription) ? subscription.topic->window.base() : subscription.goal);
}

// The last watermark known of in the subscription's history.
uint64_t Session::HeadOf(const Subscription& subscription) {
  const Topic& topic = *subscription.topic;
  return topic.epoch == subscription.epoch ? topic.head : subscription.goal;
}

bool Session::HasMore(const Subscription& subscription) {
  if (subscription.page) return true;
  if (subscription.read) return false;
  if (NeedsJournal(subscription)) return !subscription.waits_for_retry;
  return HasWindow(subscription) && subscription.cursor < subscription.topic->window.head();
}

FrameRef Session::TakeBatch(Subscription* subscription) {
  Topic* topic = subscription->topic.get();
  while (true) {
    FrameRef frame;
    if (subscription->page) {
      JournalPage* page = subscription->page.get();
      const EventPage& events = *page->events;
      subscription->page_at_ms = hub_.NowMs();
      frame = CutBatch(subscription, &page->frames, events.through(),
                       [&events](uint64_t watermark) -> const Event& { return events.At(watermark); });
      if (subscription->cursor >= events.through()) {
        // The next page is read while this frame is on its way, unless another topic waits for the slot.
        const bool others_wait = !blocked_.empty();
        ReleasePage(subscription);
        const bool goes_on = NeedsJournal(*subscription);
        if (!goes_on) subscription->place.reset();
        if (!others_wait && goes_on) StartRead(subscription);
      }
      if (frame) hub_.counters().journal_batches.Add();
    } else if (HasMore(*subscription) && !NeedsJournal(*subscription)) {
      frame = CutBatch(subscription, &topic->frames, topic->window.head(),
                       [topic](uint64_t watermark) -> const Event& { return topic->window.At(watermark); });
      if (frame) hub_.counters().window_batches.Add();
    } else {
      // Caught up, waiting for the journal, or to ask it now.
      if (HasMore(*subscription)) StartRead(subscription);
      return nullptr;
    }
    if (frame) return frame;
    // Nothing but voids: read on.
  }
}

// The compressed form of a plain frame, for whoever else takes it so.
template <typename Cache>
FrameRef Session::Compress(FrameKey key, bool is_shared, const FrameRef& plain, Cache* cache, uint64_t goal) {
  FrameRef frame = hub_.Compressed(plain);
  key.deflate = true;
  if (is_shared) cache->Put(key, frame->through_watermark >= goal, frame);
  return frame;
}

// The next batch of a run of events that ends at `end`; null if there were only voids, which are passed then.
template <typename Cache, typename At>
FrameRef Session::CutBatch(Subscription* subscription, Cache* cache, uint64_t end, At at) {
  FrameKey key{subscription->sent, subscription->cursor, subscription->max_events, encoding_, deflate_};
  // A frame that nobody else can want is freed when it is sent, and the next one is made in its memory.
  const bool is_shared = subscription->topic->subscriptions.size() > 1;
  FrameRef frame = cache->Find(key, subscription->goal);
  if (!frame && deflate_) {
    key.deflate = false;  // made for somebody who takes it as it is
    frame = cache->Find(key, subscription->goal);
    if (frame) frame = Compress(key, is_shared, frame, cache, subscription->goal);
  }
  if (!frame) {
    key.deflate = false;
    const auto begun = std::chrono::steady_clock::now();
    BatchLimits limits = hub_.options().batch;
    limits.max_events = subscription->max_events;
    BatchBuilder builder(encoding_, limits, subscription->topic->name);
    uint64_t cursor = subscription->cursor;
    while (cursor < end && builder.Add(at(cursor + 1))) ++cursor;
    if (!builder.has_updates()) {
      subscription->cursor = cursor;
      NoteReplay(subscription);
      return nullptr;
    }
    const bool complete = cursor >= subscription->goal;
    frame = builder.Finish(subscription->sent, complete, std::max(HeadOf(*subscription), cursor), subscription->epoch);
    CountBuilt(&hub_.counters(), *frame, begun);
    if (is_shared && !deflate_) cache->Put(key, complete, frame);
    if (deflate_) frame = Compress(key, is_shared, frame, cache, subscription->goal);
  }
  subscription->sent = subscription->cursor = frame->through_watermark;
  NoteReplay(subscription);
  return frame;
}

// To be called whenever the cursor was moved on.
void Session::NoteReplay(Subscription* subscription) {
  if (!subscription->is_replaying || subscription->cursor < subscription->goal) return;
  subscription->is_replaying = false;
  hub_.counters().replay_time[static_cast<size_t>(subscription->replay_source)].Observe(
      (hub_.NowMs() - subscription->since_ms) * kUsPerMs);
}

// Since when the subscription is behind, as far as what is in memory tells: from the commit of the oldest event that it
// was not sent, or from its beginning if that was later. REQUIRES: it is behind.
int64_t Session::BehindUs(const Subscription& subscription) const {
  const int64_t since_us = (hub_.NowMs() - subscription.since_ms) * kUsPerMs;
  const Event* oldest = nullptr;
  if (subscription.page && subscription.page->events->Covers(subscription.cursor)) {
    oldest = &subscription.page->events->At(subscription.cursor + 1);
  } else if (HasWindow(subscription)) {
    const Window& window = subscription.topic->window;
    const uint64_t place = std::max(subscription.cursor, window.base());
    if (place < window.head()) oldest = &window.At(place + 1);
  }
  if (oldest == nullptr) return since_us;
  const int64_t commit_us = oldest->commit_time_us != 0 ? oldest->commit_time_us : oldest->inserted_at_us;
  return std::clamp<int64_t>(hub_.environment().clock.WallMicros() - commit_us, 0, since_us);
}

void Session::ReportLag() {
  for (const auto& subscription : subscriptions_) {
    const uint64_t head = HeadOf(*subscription);
    if (subscription->cursor < head) {
      hub_.lag().Report(head - subscription->cursor, BehindUs(*subscription));
    } else {
      hub_.lag().Report(0, 0);
    }
  }
}

void Session::StartRead(Subscription* subscription) {
  if (slots_in_use_ >= kReplaySlots) {
    subscription->state = Subscription::State::kBlocked;
    blocked_.Push(subscription);
    return;
  }
  ++slots_in_use_;
  hub_.ReadJournal(subscription);
}

void Session::ReleasePage(Subscription* subscription) {
  subscription->page.reset();
  FreeSlot();
}

void Session::FreeSlot() {
  --slots_in_use_;
  hub_.OnPageReleased();
  if (blocked_.empty()) return;
  Subscription* subscription = blocked_.Pop();
  subscription->state = Subscription::State::kIdle;
  // The slot is for this one: made ready only, it could lose it to a hotter topic, again and again.
  if (HasMore(*subscription) && NeedsJournal(*subscription) && !subscription->page) {
    StartRead(subscription);
  } else {
    MakeReady(subscription);
  }
}

}  // namespace oasync
