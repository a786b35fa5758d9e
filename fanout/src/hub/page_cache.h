// PageCache: pages of the journal, read once for everybody on every loop.
//
// Watermarks are dense, so a run of events of one history never changes: whoever stands anywhere in it can be served
// from one copy, and a storm of resuming clients costs one read a page. Any thread may call anything. Nothing is kept
// of gaps and of errors. Must outlive the source's last callback.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "event.h"
#include "source.h"

namespace oasync {

// A dense run of events of one topic in one history: (after, through()]. Never empty, never changed.
class EventPage {
 public:
  // `live` counts the bytes of all pages that exist.
  EventPage(uint64_t after, std::vector<EventRef> events, std::shared_ptr<std::atomic<size_t>> live);
  ~EventPage();
  EventPage(const EventPage&) = delete;
  EventPage& operator=(const EventPage&) = delete;

  uint64_t after() const { return after_; }
  uint64_t through() const { return after_ + events_.size(); }
  // Whether the event that follows the cursor is here.
  bool Covers(uint64_t cursor) const { return after_ <= cursor && cursor < through(); }
  // REQUIRES: after() < watermark <= through().
  const Event& At(uint64_t watermark) const { return *events_[watermark - after_ - 1]; }
  const std::vector<EventRef>& events() const { return events_; }
  size_t bytes() const { return bytes_; }

 private:
  const uint64_t after_;
  const std::vector<EventRef> events_;
  size_t bytes_ = 0;
  const std::shared_ptr<std::atomic<size_t>> live_;
};
using EventPageRef = std::shared_ptr<const EventPage>;

struct PageCacheOptions {
  uint32_t page_events = 1000;      // page k holds the watermarks k * page_events + 1 to (k + 1) * page_events
  uint64_t read_bytes = 2097152;    // of one read, about; a page of large events is kept in several runs
  size_t max_bytes = 67108864;      // of all pages, those in use included; reads wait beyond it
  uint32_t max_reads_at_once = 16;  // by how many reads max_bytes may be exceeded
};

// Any thread may read them at any time.
struct PageCacheStats {
  std::atomic<uint64_t> reads{0};      // of the source
  std::atomic<uint64_t> errors{0};     // reads that failed
  std::atomic<uint64_t> hits{0};       // questions answered from memory
  std::atomic<uint64_t> joined{0};     // questions that joined a read under way
  std::atomic<uint64_t> waited{0};     // questions that had to wait for memory or for other reads
  std::atomic<uint64_t> evictions{0};  // runs dropped to make room
  std::atomic<uint64_t> waiting{0};    // gauge: questions that wait now
};

// What follows `after` in the history of an epoch. `floor`: no event at or below it need be looked for; `after` itself
// when the floor is not known.
struct PageQuestion {
  std::string topic;
  uint64_t epoch = 0;
  uint64_t after = 0;
  uint64_t floor = 0;
};

// The page that covers the question's place; null when the journal has nothing (visible) there.
using PageCallback = std::function<void(ReadResult<EventPageRef>)>;

class PageCache {
 public:
  PageCache(const PageCacheOptions& options, Source& source);
  PageCache(const PageCache&) = delete;
  PageCache& operator=(const PageCache&) = delete;

  // The page, if it is in memory.
  EventPageRef Find(std::string_view topic, uint64_t epoch, uint64_t after);
  // Calls `done` once, within the call or on a thread of the source. An event of a later epoch than the question's ends
  // the page: it is of another history.
  void Read(PageQuestion question, PageCallback done);
  // Drops what lies beyond `head`, when the history turned out to end there. Reads under way are not kept.
  void Forget(std::string_view topic, uint64_t head);
  // Whether questions wait for memory that pages in use take up.
  bool HasWaiting() const { return stats_.waiting.load(std::memory_order_relaxed) != 0; }
  // To be called after a page was let go while questions wait.
  void Proceed();

  const PageCacheStats& stats() const { return stats_; }
  size_t bytes() const { return live_->load(std::memory_order_relaxed); }

 private:
  // Runs, and reads under way, by where they begin.
  using Key = std::pair<std::pair<std::string, uint64_t>, uint64_t>;  // topic, epoch; after
  struct Entry;
  using Entries = std::map<Key, Entry>;
  struct Entry {
    EventPageRef page;
    std::list<Entries::iterator>::iterator used;
  };
  struct Waiter {
    PageQuestion question;
    PageCallback done;
    bool exact = false;  // the read begins where the question is, not where the page does
  };
  struct Flight {
    Key key;
    uint64_t end = 0;      // the last watermark asked for
    bool is_void = false;  // the history changed meanwhile: not to be kept
    std::vector<Waiter> waiters;
  };
  using FlightRef = std::shared_ptr<Flight>;
  // What is to be done once the lock is released.
  struct Work {
    std::vector<FlightRef> launches;
    std::vector<std::pair<PageCallback, ReadResult<EventPageRef>>> answers;
  };

  // REQUIRE of those with Work: mutex_ is held.
  void Take(Waiter waiter, bool is_new, Work* work);
  bool Join(Waiter* waiter);
  FlightRef MakeFlight(Waiter waiter);
  EventPageRef FindLocked(const Key& key);
  Entries::iterator Before(const Key& key);
  void TakeWaiting(Work* work);
  void Settle(const FlightRef& flight, const EventPageRef& page, const std::string& error, Work* work);
  bool MayRead();
  void MakeRoom();
  EventPageRef Keep(const Flight& flight, EventPageRef page);
  void Erase(Entries::iterator entry);
  void Perform(Work&& work);
  void OnRead(const FlightRef& flight, ReadResult<std::vector<EventRef>> result);

  const PageCacheOptions options_;
  Source& source_;
  PageCacheStats stats_;
  const std::shared_ptr<std::atomic<size_t>> live_ = std::make_shared<std::atomic<size_t>>(0);
  std::mutex mutex_;
  Entries entries_;
  std::list<Entries::iterator> used_;  // the one used last in front
  std::map<Key, FlightRef> flights_;
  uint32_t reads_under_way_ = 0;
  std::deque<Waiter> waiting_;
};

}  // namespace oasync
