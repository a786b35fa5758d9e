// Hub: everything of the fan-out that one event loop does, without a socket or a database in sight.
//
// It owns the loop's topics with their windows, and answers the sessions' questions. Delivery is by pull: the hub only
// tells a session that a topic has something; the session takes it when its socket can be written.
// One thread, that of the loop; Source's callbacks come back to it through the Executor.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "auth/token.h"
#include "base/clock.h"
#include "base/counters.h"
#include "hub/admission.h"
#include "hub/lag_meter.h"
#include "hub/page_cache.h"
#include "hub/session_index.h"
#include "hub/survey.h"
#include "hub/topic.h"
#include "source.h"
#include "wire/batch.h"
#include "wire/compatibility.h"

namespace oasync {

// What one session may do and how it is looked after. Times are milliseconds.
struct SessionLimits {
  uint32_t max_topics = 256;
  uint32_t max_outstanding_requests = 8;  // that wait for the database
  uint32_t max_requests_per_second = 50;  // refilled; twice as many at once
  uint32_t max_waiting_answers = 64;      // then no more requests are read
  int64_t heartbeat_interval_ms = 15000;
  int64_t token_warning_ms = 30000;
  int64_t token_grace_ms = 10000;
  int64_t reconnect_base_ms = 400;    // advice to clients: how long to wait before they connect again,
  int64_t reconnect_jitter_ms = 250;  // and how much longer at most, at random
  int64_t slow_reconnect_ms = 2000;   // the same for one that was closed because it did not read
};

struct HubOptions {
  BatchLimits batch;
  SessionLimits session;
  CompatibilityGate gate;
  size_t window_events = 2048;  // per topic
  size_t window_bytes = 4194304;
  uint32_t replay_page_events = 1000;
  size_t page_cache_bytes = 67108864;
  AdmissionOptions admission;

  PageCacheOptions PageOptions() const { return {replay_page_events, batch.max_batch_bytes, page_cache_bytes}; }
};

// Runs a task on the loop's thread later. Callable from any thread, also after the loop has ended (the task is
// dropped).
using Executor = std::function<void(std::function<void()>)>;

// Asks for a topic's live events on behalf of one loop. They arrive at Hub::OnFollowing and Hub::OnEvents.
class TopicFeed {
 public:
  virtual ~TopicFeed() = default;
  virtual void Follow(const std::string& topic) = 0;
  virtual void Unfollow(const std::string& topic) = 0;
  // After events of the topic were left out because the loop did not keep up: where the tail stands now, and they come
  // again from there. Nothing when they have begun to come again otherwise since this `loss`.
  virtual std::optional<TopicState> Recover(const std::string& /*topic*/, uint64_t /*loss*/) { return std::nullopt; }
};

// What every part of a loop needs; each must outlive the hub.
struct HubEnvironment {
  TopicFeed& feed;
  Source& source;
  PageCache& pages;
  Admission& admission;
  Executor executor;
  const Clock& clock;
  const TokenVerifier& verifier;
  LoopCounters& counters;
  SharedCounters& shared;
};

class Hub {
 public:
  using StatesCallback = std::function<void(ReadResult<std::vector<TopicState>>)>;

  Hub(const HubOptions& options, HubEnvironment environment);
  ~Hub();
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  // -- from the loop
  void OnFollowing(const TopicState& state);
  void OnEvents(const std::vector<EventRef>& events);
  // Live events of the topic were left out: what subscribers lack is in the journal.
  void OnLost(const std::string& name, uint64_t loss);
  // Retries, lingering topics. To be called every 100 ms or so.
  void Tick();

  // Ends the sessions that stand on what is revoked. The list that the verifier looks into has it already.
  void EndRevoked(const std::vector<Revocation>& revocations);

  // Sessions that match, those found first; some 2 ms for 20 000 of them.
  Survey TakeSurvey(const SurveyQuestion& question) const;
  size_t SubscribersOf(const std::string& topic) const;

  // -- from the sessions
  SessionIndex& sessions() { return sessions_; }
  // The topic, followed from now on; null when the server holds as many as it may.
  TopicRef Acquire(const std::string& name);
  void Attach(Subscription* subscription);
  void Detach(Subscription* subscription);
  // Heads and floors read after this call began, in the order asked. Questions that arrive while one is with the
  // database are asked together in the next ones, in their order.
  void ReadStates(std::vector<std::string> topics, StatesCallback done);
  // What the topics share with earlier epochs, in the order asked.
  void ReadHistories(std::vector<std::string> topics, HistoriesCallback done);
  // Brings the page of the journal that follows subscription->cursor; Session::OnPage or OnReplayGap follows, also
  // within the call.
  void ReadJournal(Subscription* subscription);
  // A place for a replay; it is given up by itself after ReplayPlace::kMostMs.
  ReplayPlaceRef AdmitReplay(int64_t* retry_after_ms);
  // To be called after a page was let go.
  void OnPageReleased();
  // Takes the subscription off the read it waits for, if it does.
  void StopReading(Subscription* subscription);
  // Makes the subscription ready again after a pause.
  void RetryLater(Subscription* subscription);

  const HubOptions& options() const { return options_; }
  const HubEnvironment& environment() const { return environment_; }
  LoopCounters& counters() { return environment_.counters; }
  LagMeter& lag() { return lag_; }
  int64_t NowMs() const { return environment_.clock.SteadyMs(); }

 private:
  struct StatesQuestion {
    std::vector<std::string> topics;
    StatesCallback done;
  };

  // A topic whose subscriptions of earlier epochs are to be looked at.
  struct Review {
    std::weak_ptr<Topic> topic;
    TopicState state;
  };

  void AskStates();
  void OnStates(const std::vector<StatesQuestion>& questions, const ReadResult<std::vector<TopicState>>& result);
  void OnJournal(const std::weak_ptr<Topic>& weak_topic, const std::shared_ptr<JournalRead>& read,
                 const ReadResult<EventPageRef>& result);
  PageRef PageOf(Topic* topic, uint64_t epoch, const EventPageRef& events);
  void TakeBackPages(int64_t now);
  void EndOldReplays(int64_t now);
  void OnOtherEpoch(const TopicRef& topic, const TopicState& state, bool is_repeat);
  void ReviewEarlierEpochs(const TopicRef& topic, const TopicState& state);
  void AskForReviews();
  void ContinueOrDrop(Topic* topic, const TopicState& state, const ReadResult<std::vector<SharedHistory>>& histories);
  void WarnOfRead(const char* what, const std::string& error);
  void WakeSubscriptions(Topic* topic);
  void RetryTopic(const TopicRef& topic);
  bool DropIfIdle(const TopicRef& topic, int64_t now);
  void CountWindow(Topic* topic, int sign);

  const HubOptions options_;
  HubEnvironment environment_;
  std::unordered_map<std::string, TopicRef> topics_;
  SessionIndex sessions_;
  LagMeter lag_;
  std::vector<TopicRef> retrying_;  // topics with retry_at_ms
  int64_t next_sweep_ms_ = 0;
  int64_t next_read_warning_ms_ = 0;
  int64_t next_take_back_ms_ = 0;
  std::deque<PageRef> recent_pages_;  // so that the frames of a page outlive the first who take them
  std::deque<std::weak_ptr<ReplayPlace>> replay_places_;  // in the order of their beginning
  std::deque<StatesQuestion> waiting_questions_;
  bool question_under_way_ = false;
  std::deque<Review> waiting_reviews_;
  bool review_under_way_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // callbacks that come too late see it gone
};

}  // namespace oasync
