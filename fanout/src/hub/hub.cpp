#include "hub/hub.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "hub/session.h"

namespace oasync {
namespace {

// A topic without subscribers stays followed for a while, so that a client that is cut off and comes back resumes from
// the window instead of the journal.
constexpr int64_t kLingerMs = 10000;
// One without any event has nothing to resume. It may not even exist: names cost a client nothing.
constexpr int64_t kEmptyLingerMs = 1000;
// How often such topics are looked for: there may be very many topics.
constexpr int64_t kSweepMs = 1000;
// A database that is away fails every read: it is said this often.
constexpr int64_t kReadWarningMs = 10000;
// Topics whose states one query asks for, unless a single request has more.
constexpr size_t kStatesAtOnce = 1000;

}  // namespace

Hub::Hub(const HubOptions& options, HubEnvironment environment)
    : options_(options),
      environment_(std::move(environment)),
      lag_(&environment_.counters, options.session.heartbeat_interval_ms),
      deflater_(options.deflate.level) {}

Hub::~Hub() {
  for (size_t i = 0; i < topics_.size(); ++i) environment_.admission.ReleaseTopic();
}

FrameRef Hub::Compressed(FrameRef frame) {
  if (frame->size() < options_.deflate.min_bytes) return frame;
  const auto begun = std::chrono::steady_clock::now();
  FrameRef compressed = deflater_.Compress(*frame);
  LoopCounters& counters = environment_.counters;
  counters.deflate_ns.Add(
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - begun).count());
  if (!compressed) return frame;
  counters.deflated.Add();
  counters.deflate_bytes_in.Add(static_cast<int64_t>(frame->size()));
  counters.deflate_bytes_out.Add(static_cast<int64_t>(compressed->size()));
  return compressed;
}

void Hub::OnFollowing(const TopicState& state) {
  const auto it = topics_.find(state.topic);
  if (it == topics_.end()) return;  // left in the meantime
  Topic* topic = it->second.get();
  CountWindow(topic, -1);
  topic->frames.Clear();
  topic->window.Reset(state.head);
  CountWindow(topic, 1);
  // What is known of another history, or was before the tail started over, is void.
  const bool is_repeat = std::exchange(topic->following, true);
  if (is_repeat) environment_.pages.Forget(topic->name, state.head);
  const bool is_same = topic->epoch == state.epoch;
  topic->head = is_same && !is_repeat ? std::max(topic->head, state.head) : state.head;
  topic->floor = is_same ? std::max(topic->floor, state.floor) : state.floor;
  topic->epoch = state.epoch;
  topic->policy = state.policy;
  // Of a new epoch the database may have told subscribers more than the tail had read.
  OnOtherEpoch(it->second, state, is_repeat && is_same);
  WakeSubscriptions(topic);
}

void Hub::WarnOfRead(const char* what, const std::string& error) {
  const int64_t now = NowMs();
  if (now < next_read_warning_ms_) return;
  next_read_warning_ms_ = now + kReadWarningMs;
  LogWarn("database.read_failed", "reading {what} failed, trying on: {error}", {{"what", what}, {"error", error}});
}

void Hub::OnEvents(const std::vector<EventRef>& events) {
  Topic* topic = nullptr;
  for (size_t i = 0; i < events.size(); ++i) {
    const EventRef& event = events[i];
    if (topic == nullptr || topic->name != event->topic) {
      const auto it = topics_.find(event->topic);
      topic = it == topics_.end() || !it->second->following ? nullptr : it->second.get();
      if (topic == nullptr) continue;
      CountWindow(topic, -1);
    }
    const uint64_t head = topic->window.head();
    // The tail promises one after the other; should it ever not, the journal has what is missing.
    if (event->watermark > head + 1) topic->window.Reset(event->watermark - 1);
    if (event->watermark > head) topic->window.Append(event);
    const bool last = i + 1 == events.size() || events[i + 1]->topic != topic->name;
    if (!last) continue;
    topic->frames.Clear();
    topic->head = std::max(topic->head, topic->window.head());
    CountWindow(topic, 1);
    WakeSubscriptions(topic);
    topic = nullptr;
  }
}

void Hub::OnLost(const std::string& name, uint64_t loss) {
  const auto it = topics_.find(name);
  const std::optional<TopicState> state = environment_.feed.Recover(name, loss);
  // Of another epoch: the word that it began is on its way and will say where the topic stands.
  if (!state || it == topics_.end() || !it->second->following || it->second->epoch != state->epoch) return;
  Topic* topic = it->second.get();
  CountWindow(topic, -1);
  topic->frames.Clear();
  topic->window.Reset(state->head);
  topic->head = std::max(topic->head, state->head);
  CountWindow(topic, 1);
  WakeSubscriptions(topic);
}

void Hub::EndRevoked(const std::vector<Revocation>& revocations) {
  for (Session* session : sessions_.Find(revocations)) session->EndIfRevoked();
}

void Hub::WakeSubscriptions(Topic* topic) {
  for (Subscription* subscription : topic->subscriptions) subscription->session->OnTopicAdvanced(subscription);
}

void Hub::CountWindow(Topic* topic, int sign) {
  counters().window_events.Add(sign * static_cast<int64_t>(topic->window.size()));
  counters().window_bytes.Add(sign * static_cast<int64_t>(topic->window.bytes()));
}

void Hub::Tick() {
  const int64_t now = NowMs();
  for (size_t i = 0; i < retrying_.size();) {
    const TopicRef topic = retrying_[i];
    if (now < topic->retry_at_ms) {
      ++i;
      continue;
    }
    retrying_[i] = std::move(retrying_.back());
    retrying_.pop_back();
    RetryTopic(topic);
  }
  lag_.Tick(now);
  if (environment_.pages.HasWaiting()) TakeBackPages(now);
  EndOldReplays(now);
  if (now < next_sweep_ms_) return;
  next_sweep_ms_ = now + kSweepMs;
  std::erase_if(topics_, [&](const auto& entry) { return DropIfIdle(entry.second, now); });
}

bool Hub::DropIfIdle(const TopicRef& topic, int64_t now) {
  // One reference is the map's; another may be that of a request which waits for the database before it attaches.
  const int64_t linger_ms = topic->head == 0 ? kEmptyLingerMs : kLingerMs;
  if (topic.use_count() > 1 || now - topic->idle_since_ms < linger_ms) return false;
  CountWindow(topic.get(), -1);
  environment_.feed.Unfollow(topic->name);
  counters().topics.Add(-1);
  environment_.admission.ReleaseTopic();
  return true;
}

TopicRef Hub::Acquire(const std::string& name) {
  const auto found = topics_.find(name);
  if (found == topics_.end() && !environment_.admission.TakeTopic()) return nullptr;
  TopicRef& topic = found == topics_.end() ? topics_[name] : found->second;
  if (!topic) {
    topic = std::make_shared<Topic>(name, options_.window_events, options_.window_bytes);
    counters().topics.Add();
    environment_.feed.Follow(name);
  }
  topic->idle_since_ms = NowMs();
  return topic;
}

void Hub::Attach(Subscription* subscription) {
  auto& list = subscription->topic->subscriptions;
  subscription->index_in_topic = static_cast<uint32_t>(list.size());
  list.push_back(subscription);
  counters().subscriptions.Add();
}

void Hub::Detach(Subscription* subscription) {
  Topic* topic = subscription->topic.get();
  auto& list = topic->subscriptions;
  list[subscription->index_in_topic] = list.back();
  list[subscription->index_in_topic]->index_in_topic = subscription->index_in_topic;
  list.pop_back();
  StopReading(subscription);
  topic->idle_since_ms = NowMs();
  counters().subscriptions.Add(-1);
}

void Hub::StopReading(Subscription* subscription) {
  if (!subscription->read) return;
  auto& waiters = subscription->read->waiters;
  waiters.erase(std::find(waiters.begin(), waiters.end(), subscription));
  subscription->read.reset();
}

void Hub::ReadStates(std::vector<std::string> topics, StatesCallback done) {
  waiting_questions_.push_back({std::move(topics), std::move(done)});
  if (!question_under_way_) AskStates();
}

void Hub::AskStates() {
  if (waiting_questions_.empty()) return;
  question_under_way_ = true;
  auto questions = std::make_shared<std::vector<StatesQuestion>>();
  std::vector<std::string> topics;
  while (!waiting_questions_.empty() &&
         (topics.empty() || topics.size() + waiting_questions_.front().topics.size() <= kStatesAtOnce)) {
    StatesQuestion& question = waiting_questions_.front();
    topics.insert(topics.end(), question.topics.begin(), question.topics.end());
    questions->push_back(std::move(question));
    waiting_questions_.pop_front();
  }
  std::sort(topics.begin(), topics.end());
  topics.erase(std::unique(topics.begin(), topics.end()), topics.end());
  environment_.source.ReadHeads(
      std::move(topics), [this, questions, alive = std::weak_ptr(alive_), post = environment_.executor](auto result) {
        post([this, questions, alive, result = std::move(result)] {
          if (!alive.expired()) OnStates(*questions, result);
        });
      });
}

void Hub::OnStates(const std::vector<StatesQuestion>& questions, const ReadResult<std::vector<TopicState>>& result) {
  question_under_way_ = false;
  std::unordered_map<std::string, const TopicState*> states;
  if (!result.ok()) WarnOfRead("topic heads", result.error);
  for (const TopicState& state : result.value) {
    states[state.topic] = &state;
    const auto it = topics_.find(state.topic);
    if (it == topics_.end()) continue;
    Topic* topic = it->second.get();
    // While the tail has not yet told of a new epoch, what this answer says is not to be mixed with what it said.
    if (topic->following && topic->epoch != state.epoch) continue;
    if (state.epoch < topic->epoch) continue;  // asked before the change
    const bool is_same = topic->epoch == state.epoch;
    topic->head = is_same ? std::max(topic->head, state.head) : state.head;
    topic->floor = is_same ? std::max(topic->floor, state.floor) : state.floor;
    topic->epoch = state.epoch;
    topic->policy = state.policy;
    topic->floor_at_ms = NowMs();
  }
  for (const auto& question : questions) {
    ReadResult<std::vector<TopicState>> answer;
    answer.error = result.error;
    for (const auto& name : question.topics) {
      const auto it = states.find(name);
      if (it != states.end()) {
        answer.value.push_back(*it->second);
      } else if (answer.ok()) {
        answer.error = "the answer lacks a topic";
      }
    }
    question.done(std::move(answer));
  }
  if (!question_under_way_) AskStates();
}

}  // namespace oasync
