// Topic: one event loop's view of one topic, and the subscriptions of its sessions.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/counters.h"
#include "event.h"
#include "hub/admission.h"
#include "hub/frame_cache.h"
#include "hub/page_cache.h"
#include "hub/window.h"
#include "source.h"

namespace oasync {

class Session;
struct Subscription;
struct Topic;

// One loop's view of a page of the journal: its events are every loop's, its frames this loop's.
struct JournalPage {
  explicit JournalPage(EventPageRef event_page) : events(std::move(event_page)) {}
  const EventPageRef events;
  FrameCache<8> frames;
};
using PageRef = std::shared_ptr<JournalPage>;

// A question to the page cache on its way, and the subscriptions that wait for its answer.
struct JournalRead {
  uint64_t after = 0;
  uint64_t epoch = 0;  // of the subscriptions that wait
  std::vector<Subscription*> waiters;
};

// One topic of one session: a cursor, and no queue.
struct Subscription {
  Session* session = nullptr;
  std::shared_ptr<Topic> topic;
  uint64_t sent = 0;    // the client's place: where the last batch ended, or the cursor it came with
  uint64_t cursor = 0;  // how far events were read: sent, or past voids that follow it
  uint64_t goal = 0;    // head seen at subscribe; from there on batches are replay_complete
  uint64_t epoch = 0;
  uint32_t max_events = 0;  // in a batch
  uint32_t index_in_topic = 0;
  PageRef page;                       // being sent from; holds a replay slot of the session
  int64_t page_at_ms = 0;             // when a frame was last taken from it, or it came
  std::shared_ptr<JournalRead> read;  // waited for; holds a replay slot of the session
  Subscription* next = nullptr;       // in the session's ready or blocked line
  enum class State : uint8_t {
    kIdle,     // nothing to send, or waiting for a read or a retry
    kReady,    // in the session's ready line
    kBlocked,  // has to read the journal, but the session has no replay slot free
  };
  State state = State::kIdle;
  int64_t since_ms = 0;                                // when it began
  bool is_replaying = false;                           // the goal was not reached yet
  ReplaySource replay_source = ReplaySource::kWindow;  // so far
  bool waits_for_retry = false;                        // the journal had a gap or could not be read
  ReplayPlaceRef place;                                // while it is a replay that counts
  QosTier tier = QosTier::kWarm;                       // as it was at subscribe
};

struct Topic {
  Topic(std::string topic_name, size_t max_events, size_t max_bytes)
      : name(std::move(topic_name)), window(max_events, max_bytes) {}

  const std::string name;
  bool following = false;  // the tail delivers: the window's base and head are known
  uint64_t epoch = 0;      // 0 until known
  uint64_t head = 0;       // last watermark known of
  uint64_t floor = 0;
  TopicPolicy policy;
  int64_t floor_at_ms = 0;  // when floor was read; 0 never
  Window window;
  FrameCache<8> frames;  // of the window
  std::vector<Subscription*> subscriptions;
  std::map<std::pair<uint64_t, uint64_t>, std::weak_ptr<JournalRead>> reads;  // under way, by epoch and `after`
  std::map<std::pair<uint64_t, uint64_t>, std::weak_ptr<JournalPage>> pages;  // in use here, by epoch and `after`
  int64_t idle_since_ms = 0;                                                  // when the last subscription left
  int64_t retry_at_ms = 0;  // when waits_for_retry ends; 0 when nobody waits
  int32_t retry_delay_ms = 0;
};
using TopicRef = std::shared_ptr<Topic>;

}  // namespace oasync
