#include "hub/page_cache.h"

#include <algorithm>

namespace oasync {

EventPage::EventPage(uint64_t after, std::vector<EventRef> events, std::shared_ptr<std::atomic<size_t>> live)
    : after_(after), events_(std::move(events)), live_(std::move(live)) {
  for (const EventRef& event : events_) bytes_ += WeightOf(*event);
  live_->fetch_add(bytes_, std::memory_order_relaxed);
}

EventPage::~EventPage() { live_->fetch_sub(bytes_, std::memory_order_relaxed); }

PageCache::PageCache(const PageCacheOptions& options, Source& source) : options_(options), source_(source) {}

EventPageRef PageCache::Find(std::string_view topic, uint64_t epoch, uint64_t after) {
  const Key key{{std::string(topic), epoch}, after};
  const std::lock_guard lock(mutex_);
  EventPageRef page = FindLocked(key);
  if (page) stats_.hits.fetch_add(1, std::memory_order_relaxed);
  return page;
}

void PageCache::Read(PageQuestion question, PageCallback done) {
  Work work;
  {
    const std::lock_guard lock(mutex_);
    Take({std::move(question), std::move(done)}, /*is_new=*/true, &work);
  }
  Perform(std::move(work));
}

void PageCache::Proceed() {
  Work work;
  {
    const std::lock_guard lock(mutex_);
    TakeWaiting(&work);
  }
  Perform(std::move(work));
}

void PageCache::Forget(std::string_view topic, uint64_t head) {
  const std::lock_guard lock(mutex_);
  const Key first{{std::string(topic), 0}, 0};
  for (auto it = entries_.lower_bound(first); it != entries_.end() && it->first.first.first == topic;) {
    const auto entry = it++;
    if (entry->second.page->through() > head) Erase(entry);
  }
  for (auto it = flights_.lower_bound(first); it != flights_.end() && it->first.first.first == topic;) {
    it->second->is_void = true;
    it = flights_.erase(it);
  }
}

// The last run that begins at or before the key's place in its history; end() when there is none.
PageCache::Entries::iterator PageCache::Before(const Key& key) {
  auto it = entries_.upper_bound(key);
  if (it == entries_.begin()) return entries_.end();
  --it;
  return it->first.first == key.first ? it : entries_.end();
}

EventPageRef PageCache::FindLocked(const Key& key) {
  const auto it = Before(key);
  if (it == entries_.end() || !it->second.page->Covers(key.second)) return nullptr;
  used_.splice(used_.begin(), used_, it->second.used);
  return it->second.page;
}

// Answers from memory, joins a read, begins one, or waits.
void PageCache::Take(Waiter waiter, bool is_new, Work* work) {
  const Key key{{waiter.question.topic, waiter.question.epoch}, waiter.question.after};
  if (EventPageRef page = FindLocked(key)) {
    stats_.hits.fetch_add(1, std::memory_order_relaxed);
    work->answers.emplace_back(std::move(waiter.done), ReadResult<EventPageRef>{{}, std::move(page)});
    return;
  }
  if (Join(&waiter)) return;
  // Behind those who wait already, unless it is one of them.
  if ((is_new && !waiting_.empty()) || !MayRead()) {
    if (is_new) stats_.waited.fetch_add(1, std::memory_order_relaxed);
    waiting_.insert(is_new ? waiting_.end() : waiting_.begin(), std::move(waiter));
    stats_.waiting.store(waiting_.size(), std::memory_order_relaxed);
    return;
  }
  work->launches.push_back(MakeFlight(std::move(waiter)));
}

bool PageCache::Join(Waiter* waiter) {
  const Key key{{waiter->question.topic, waiter->question.epoch}, waiter->question.after};
  auto it = flights_.upper_bound(key);
  if (it == flights_.begin()) return false;
  --it;
  if (it->first.first != key.first || it->second->end <= key.second) return false;
  if (waiter->exact && it->first != key) return false;
  it->second->waiters.push_back(std::move(*waiter));
  stats_.joined.fetch_add(1, std::memory_order_relaxed);
  return true;
}

// A read of the page that the question's place is in, or of what is missing of it.
PageCache::FlightRef PageCache::MakeFlight(Waiter waiter) {
  const PageQuestion& question = waiter.question;
  const uint64_t page_start = question.after - question.after % options_.page_events;
  const Key place{{question.topic, question.epoch}, question.after};
  uint64_t start = std::max(page_start, std::min(question.floor, question.after));
  if (const auto before = Before(place); before != entries_.end()) {
    start = std::max(start, std::min(before->second.page->through(), question.after));
  }
  if (waiter.exact) start = question.after;
  auto flight = std::make_shared<Flight>();
  flight->key = {place.first, start};
  flight->end = page_start + options_.page_events;
  const auto next = entries_.upper_bound(place);
  if (next != entries_.end() && next->first.first == place.first) {
    flight->end = std::min(flight->end, next->first.second);
  }
  flight->waiters.push_back(std::move(waiter));
  flights_[flight->key] = flight;
  ++reads_under_way_;
  stats_.reads.fetch_add(1, std::memory_order_relaxed);
  return flight;
}

void PageCache::OnRead(const FlightRef& flight, ReadResult<std::vector<EventRef>> result) {
  const uint64_t start = flight->key.second;
  std::vector<EventRef> events;
  for (EventRef& event : result.value) {
    // Never across a hole, nor into a history that began after the question's.
    if (event->watermark != start + events.size() + 1 || event->epoch > flight->key.first.second) break;
    events.push_back(std::move(event));
  }
  EventPageRef page;
  if (!events.empty()) page = std::make_shared<const EventPage>(start, std::move(events), live_);
  if (!result.ok()) stats_.errors.fetch_add(1, std::memory_order_relaxed);
  Work work;
  {
    const std::lock_guard lock(mutex_);
    --reads_under_way_;
    if (!flight->is_void) {
      const auto found = flights_.find(flight->key);
      if (found != flights_.end() && found->second == flight) flights_.erase(found);
      if (page) page = Keep(*flight, std::move(page));
    }
    Settle(flight, page, result.error, &work);
    TakeWaiting(&work);
  }
  Perform(std::move(work));
}

void PageCache::Settle(const FlightRef& flight, const EventPageRef& page, const std::string& error, Work* work) {
  for (Waiter& waiter : flight->waiters) {
    const uint64_t after = waiter.question.after;
    if (page && page->Covers(after)) {
      work->answers.emplace_back(std::move(waiter.done), ReadResult<EventPageRef>{{}, page});
    } else if (error.empty() && flight->key.second < after && !waiter.exact) {
      // The read ended before this place: for its bytes, or because what is before it is gone by now.
      waiter.exact = true;
      Take(std::move(waiter), /*is_new=*/false, work);
    } else {
      work->answers.emplace_back(std::move(waiter.done), ReadResult<EventPageRef>{error, nullptr});
    }
  }
}

// Puts a run into the cache; returns what it became, joined to the run before it if they are small.
EventPageRef PageCache::Keep(const Flight& flight, EventPageRef page) {
  Key key = flight.key;
  const auto before = Before(key);
  if (before != entries_.end() && key.second % options_.page_events != 0) {
    const EventPageRef earlier = before->second.page;
    if (earlier->through() == page->after() && earlier->bytes() + page->bytes() <= options_.read_bytes) {
      std::vector<EventRef> events = earlier->events();
      events.insert(events.end(), page->events().begin(), page->events().end());
      page = std::make_shared<const EventPage>(earlier->after(), std::move(events), live_);
      key.second = page->after();
    }
  }
  if (const auto same = entries_.find(key); same != entries_.end()) Erase(same);
  const auto entry = entries_.emplace(std::move(key), Entry{page, {}}).first;
  entry->second.used = used_.insert(used_.begin(), entry);
  MakeRoom();
  return page;
}

void PageCache::TakeWaiting(Work* work) {
  while (!waiting_.empty() && MayRead()) {
    Waiter waiter = std::move(waiting_.front());
    waiting_.pop_front();
    Take(std::move(waiter), /*is_new=*/false, work);
  }
  stats_.waiting.store(waiting_.size(), std::memory_order_relaxed);
}

bool PageCache::MayRead() {
  if (reads_under_way_ >= options_.max_reads_at_once) return false;
  MakeRoom();
  return bytes() < options_.max_bytes;
}

// Drops what was not used for the longest time. A page that somebody holds stays: dropping it would free nothing.
void PageCache::MakeRoom() {
  for (auto it = used_.end(); it != used_.begin() && bytes() >= options_.max_bytes;) {
    --it;
    const Entries::iterator entry = *it;
    if (entry->second.page.use_count() > 1) continue;
    stats_.evictions.fetch_add(1, std::memory_order_relaxed);
    entries_.erase(entry);
    it = used_.erase(it);
  }
}

void PageCache::Erase(Entries::iterator entry) {
  used_.erase(entry->second.used);
  entries_.erase(entry);
}

void PageCache::Perform(Work&& work) {
  for (const FlightRef& flight : work.launches) {
    const auto& [history, after] = flight->key;
    source_.ReadAfter(history.first, after, static_cast<uint32_t>(flight->end - after), options_.read_bytes,
                      [this, flight](auto result) { OnRead(flight, std::move(result)); });
  }
  for (auto& [done, answer] : work.answers) done(std::move(answer));
}

}  // namespace oasync
