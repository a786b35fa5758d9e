// Session, part two: joining and subscribing, from the request to the reply that precedes the first batch.
#include <algorithm>

#include "hub/session.h"
#include "hub/system_topics.h"

namespace oasync {
namespace {

// How old a topic's floor may be to be believed without asking the database again.
constexpr int64_t kFloorTrustedMs = 1000;
// What a client is told to wait when the server holds no more topics: by then some have gone.
constexpr int64_t kTopicsRetryMs = 10000;

const std::vector<SharedHistory> kNothingShared;

bool IsOfOtherEpoch(const RequestedCursor& cursor, const TopicState& state) {
  return cursor.epoch != 0 && cursor.epoch != state.epoch;
}

// Why the cursor cannot be resumed; kNone when it can.
enum class Verdict : uint8_t { kFine, kStale };
Verdict Judge(const RequestedCursor& cursor, const TopicState& state, const std::vector<SharedHistory>& histories,
              StaleReason* reason) {
  if (IsOfOtherEpoch(cursor, state) && !Shares(histories, cursor.epoch, cursor.watermark)) {
    *reason = StaleReason::kEpochDiverged;
  } else if (cursor.watermark > std::max(state.head, state.allocated)) {
    *reason = StaleReason::kCursorAheadOfHead;
  } else if (cursor.watermark < state.floor) {
    *reason = StaleReason::kRetentionFloorBreach;
  } else if (cursor.watermark > state.floor && state.head > cursor.watermark && state.policy.replay_budget != 0 &&
             state.head - cursor.watermark > state.policy.replay_budget) {
    // Not from the floor itself: who asks for everything retained has nothing else to begin with.
    *reason = StaleReason::kReplayBudgetExceeded;
  } else {
    return Verdict::kFine;
  }
  return Verdict::kStale;
}

// Whether an answer is of a history that the tail has left already.
bool IsOutdated(const std::vector<TopicRef>& topics, const std::vector<TopicState>& states) {
  for (size_t i = 0; i < topics.size(); ++i) {
    if (states[i].epoch < topics[i]->epoch) return true;
  }
  return false;
}

}  // namespace

void Session::Subscribe(PhoenixMessage message) {
  auto parsed = ParseSubscribe(message.payload);
  if (!parsed.ok()) {
    hub_.environment().shared.denials.Add("bad_subscription");
    return ReplyTo(message, false, ErrorJson("bad_subscription", parsed.error));
  }
  auto pending = std::make_shared<PendingSubscribe>();
  pending->join_ref = std::move(message.join_ref);
  pending->ref = std::move(message.ref);
  pending->request = std::move(parsed.value);
  pending->generation = generation_;
  if (!CheckTopics(*pending)) return;
  hub_.counters().subscribes.Add();
  BeginSubscribe(pending);
}

// Entitlement; replies with the error itself.
bool Session::CheckScopes(const PendingSubscribe& pending) {
  Json forbidden = Json::array();
  for (const auto& topic : pending.request.topics) {
    if (!grant_->scopes.Allows(topic.name) || IsSystemTopic(topic.name)) forbidden.push_back(topic.name);
  }
  if (forbidden.empty()) return true;
  hub_.environment().shared.denials.Add("forbidden_topic");
  Json error = ErrorJson("forbidden_topic", "the token does not allow these topics");
  error["forbidden_topics"] = std::move(forbidden);
  FailSubscribe(pending, error);
  return false;
}

// Entitlement and number of topics; replies with the error itself.
bool Session::CheckTopics(const PendingSubscribe& pending) {
  if (!CheckScopes(pending)) return false;
  size_t added = pending.is_join ? pending.request.topics.size() : subscriptions_.size();
  for (const auto& topic : pending.request.topics) {
    if (!pending.is_join && Find(topic.name) == nullptr) ++added;
  }
  const uint32_t max_topics = hub_.options().session.max_topics;
  if (added > max_topics) {
    hub_.environment().shared.denials.Add("too_many_topics");
    Json error = ErrorJson("bad_subscription", "too many topics on one socket");
    error["max_topics"] = max_topics;
    FailSubscribe(pending, error);
    return false;
  }
  if (outstanding_ >= hub_.options().session.max_outstanding_requests) {
    hub_.counters().rate_limited.Add();
    Json error = ErrorJson("rate_limited", "too many requests wait for an answer on this socket");
    error["retry_after_ms"] = 1000;
    FailSubscribe(pending, error);
    return false;
  }
  return true;
}

void Session::BeginSubscribe(const std::shared_ptr<PendingSubscribe>& pending) {
  std::vector<std::string> names;
  for (const auto& topic : pending->request.topics) {
    TopicRef held = hub_.Acquire(topic.name);
    if (!held) return RefuseStorm(*pending, "topics", kTopicsRetryMs);
    pending->topics.push_back(std::move(held));
    names.push_back(topic.name);
  }
  std::vector<TopicState> states;
  if (StatesAreKnown(*pending, &states)) return FinishSubscribe(*pending, states);
  ++outstanding_;
  hub_.ReadStates(std::move(names), [weak = weak_from_this(), pending](const auto& result) {
    if (const auto self = weak.lock()) self->OnStates(pending, result);
  });
}

bool Session::MayFinish(const PendingSubscribe& pending) {
  --outstanding_;
  // The channel that asked may have been left or replaced.
  if (pending.generation != generation_) return false;
  // The token may have been replaced by a lesser one.
  if (CheckScopes(pending)) return true;
  if (pending.is_join) SetJoined(false);
  return false;
}

void Session::FailToRead(const PendingSubscribe& pending) {
  hub_.environment().shared.denials.Add("internal");
  Json error = ErrorJson("internal", "the journal cannot be read at the moment");
  error["retry_after_ms"] = 1000;
  if (pending.is_join) SetJoined(false);
  FailSubscribe(pending, error);
}

void Session::OnStates(const std::shared_ptr<PendingSubscribe>& pending,
                       const ReadResult<std::vector<TopicState>>& result) {
  if (result.ok() && pending->generation == generation_ && AskHistories(pending, result.value)) return;
  if (!MayFinish(*pending)) return;
  if (!result.ok() || IsOutdated(pending->topics, result.value)) return FailToRead(*pending);
  FinishSubscribe(*pending, result.value);
}

// Asks what becomes of cursors of other epochs. False when there are none.
bool Session::AskHistories(const std::shared_ptr<PendingSubscribe>& pending, const std::vector<TopicState>& states) {
  std::vector<std::string> names;
  for (size_t i = 0; i < states.size(); ++i) {
    const auto& cursor = pending->request.topics[i].cursor;
    if (cursor && IsOfOtherEpoch(*cursor, states[i])) names.push_back(states[i].topic);
  }
  if (names.empty()) return false;
  hub_.ReadHistories(names, [weak = weak_from_this(), pending, states, names](auto result) {
    const auto self = weak.lock();
    if (!self || !self->MayFinish(*pending)) return;
    if (!result.ok() || IsOutdated(pending->topics, states)) return self->FailToRead(*pending);
    for (size_t i = 0; i < names.size(); ++i) pending->histories[names[i]] = std::move(result.value[i]);
    self->FinishSubscribe(*pending, states);
  });
  return true;
}

// Whether every topic's state is known well enough without asking the database, as it is for clients that come back to
// a topic that others follow. A cursor past the known head is always asked for: another server may have been ahead.
bool Session::StatesAreKnown(const PendingSubscribe& pending, std::vector<TopicState>* states) const {
  const int64_t now = hub_.NowMs();
  for (size_t i = 0; i < pending.topics.size(); ++i) {
    const Topic& topic = *pending.topics[i];
    const auto& cursor = pending.request.topics[i].cursor;
    if (!topic.following) return false;
    const bool in_window = cursor && cursor->watermark >= topic.window.base();
    const bool floor_is_fresh = topic.floor_at_ms != 0 && now - topic.floor_at_ms <= kFloorTrustedMs;
    if (!in_window && !floor_is_fresh) return false;
    if (cursor && (cursor->watermark > topic.head || (cursor->epoch != 0 && cursor->epoch != topic.epoch)))
      return false;
    states->push_back({topic.name, topic.head, topic.floor, topic.epoch, 0, topic.policy});
  }
  return true;
}

void Session::FinishSubscribe(const PendingSubscribe& pending, const std::vector<TopicState>& states) {
  std::vector<StaleTopic> stale;
  for (size_t i = 0; i < states.size(); ++i) {
    const auto& cursor = pending.request.topics[i].cursor;
    const auto found = pending.histories.find(states[i].topic);
    StaleReason reason;
    if (cursor && Judge(*cursor, states[i], found == pending.histories.end() ? kNothingShared : found->second,
                        &reason) == Verdict::kStale) {
      const TopicState& state = states[i];
      stale.push_back({state.topic, reason, cursor->watermark, state.floor, state.head, state.epoch, state.policy});
    }
  }
  if (stale.empty()) {
    AcceptSubscribe(pending, states);
  } else {
    RefuseStale(pending, stale);
  }
  if (pending.is_join) WarnOfToken();
}

void Session::RefuseStale(const PendingSubscribe& pending, const std::vector<StaleTopic>& stale) {
  for (const auto& topic : stale) hub_.environment().shared.stale.Add(StaleReasonName(topic.reason));
  Json body = StaleCursorJson(stale);
  if (pending.is_join) {
    // A join succeeds all the same: phoenix.js would repeat a failed one for ever, with the same cursor.
    Json response = JoinResponse({});
    response["stale"] = std::move(body);
    return Reply(pending.join_ref, pending.ref, true, response);
  }
  Reply(pending.join_ref, pending.ref, false, body);
  PushEvent("sync:error", body);
}

bool Session::AdmitReplay(const PendingSubscribe& pending, const std::vector<TopicState>& states,
                          ReplayPlaceRef* place) {
  bool replays = false;
  for (size_t i = 0; i < states.size(); ++i) {
    const Topic& topic = *pending.topics[i];
    const auto& cursor = pending.request.topics[i].cursor;
    const bool has_window = topic.following && topic.epoch == states[i].epoch;
    const uint64_t needed_from = cursor ? cursor->watermark : states[i].floor;
    if (needed_from < (has_window ? topic.window.base() : states[i].head)) replays = true;
  }
  if (!replays) return true;
  int64_t retry_after_ms = 0;
  *place = hub_.AdmitReplay(&retry_after_ms);
  if (*place) return true;
  RefuseStorm(pending, "replays", retry_after_ms);
  return false;
}

// What is too much at the moment is refused with a time to come back, each client with another.
void Session::RefuseStorm(const PendingSubscribe& pending, const char* kind, int64_t retry_after_ms) {
  hub_.counters().rate_limited.Add();
  hub_.environment().shared.storms.Add(kind);
  Json error = ErrorJson("rate_limited", "the server takes on no more at the moment");
  error["retry_after_ms"] = retry_after_ms;
  if (pending.is_join) SetJoined(false);
  FailSubscribe(pending, error);
}

void Session::AcceptSubscribe(const PendingSubscribe& pending, const std::vector<TopicState>& states) {
  ReplayPlaceRef place;
  if (!AdmitReplay(pending, states, &place)) return;
  std::vector<TopicPosition> positions;
  Json names = Json::array();
  for (size_t i = 0; i < states.size(); ++i) {
    const TopicState& state = states[i];
    const auto& cursor = pending.request.topics[i].cursor;
    positions.push_back({state.topic, cursor ? cursor->watermark : state.floor, state.epoch, state.head});
    names.push_back(state.topic);
  }
  // The reply goes first: it says where the batches that follow begin.
  if (pending.is_join) {
    Reply(pending.join_ref, pending.ref, true, JoinResponse(positions));
  } else {
    Json response = {{"subscription_id", SubscriptionId()},
                     {"topics", std::move(names)},
                     {"current_watermarks", CursorsJson(positions)},
                     {"head_watermarks", HeadsJson(positions)}};
    if (!pending.request.request_id.empty()) response["request_id"] = pending.request.request_id;
    Reply(pending.join_ref, pending.ref, true, response);
  }
  uint32_t max_events = hub_.options().batch.max_events;
  if (pending.request.replay_batch_size != 0) max_events = std::min(max_events, pending.request.replay_batch_size);
  for (size_t i = 0; i < states.size(); ++i) {
    if (Subscription* earlier = Find(states[i].topic)) RemoveSubscription(earlier);
    AddSubscription(pending.topics[i], positions[i], max_events, place);
  }
}

void Session::FailSubscribe(const PendingSubscribe& pending, const Json& error) {
  Reply(pending.join_ref, pending.ref, false, error);
}

Json Session::JoinResponse(const std::vector<TopicPosition>& positions) const {
  const SessionLimits& limits = hub_.options().session;
  Json topics = Json::array();
  for (const auto& position : positions) topics.push_back(position.topic);
  return {{"subscription_id", SubscriptionId()},
          {"allowed_topics", grant_->scopes.Names()},
          {"topics", std::move(topics)},
          {"current_watermarks", CursorsJson(positions)},
          {"head_watermarks", HeadsJson(positions)},
          {"heartbeat_interval_ms", limits.heartbeat_interval_ms},
          {"reconnect_backoff_ms", {{"base", limits.reconnect_base_ms}, {"jitter", limits.reconnect_jitter_ms}}}};
}

}  // namespace oasync
