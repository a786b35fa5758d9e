// Session, part one: the channel's life and its small requests. Joining and subscribing are in session_subscribe.cpp,
// delivery in session_delivery.cpp.
#include "hub/session.h"

#include <algorithm>
#include <array>
#include <limits>
#include <random>

#include "base/utf8.h"

namespace oasync {
namespace {

// Names a subscription towards the client; only has to be unlike others.
uint64_t RandomId() {
  static thread_local std::mt19937_64 generator{std::random_device{}()};
  return generator();
}

}  // namespace

Session::Session(Hub& hub, SessionSocket& socket, GrantRef grant)
    : hub_(hub),
      socket_(socket),
      grant_(std::move(grant)),
      requests_(hub.options().session.max_requests_per_second, 2 * hub.options().session.max_requests_per_second,
                hub.NowMs()),
      heartbeat_at_ms_(hub.NowMs() + hub.options().session.heartbeat_interval_ms),
      place_in_index_(hub.sessions().Add(this, *grant_)) {}

Session::~Session() {
  // Only the hub is told: the socket may be half gone.
  for (const auto& subscription : subscriptions_) hub_.Detach(subscription.get());
  SetJoined(false);
  if (Session* moved = hub_.sessions().Remove(place_in_index_)) moved->MoveInIndex(place_in_index_);
}

void Session::OnText(std::string_view text) {
  auto message = ParsePhoenixText(text);
  if (!message) {
    hub_.counters().malformed.Add();
    socket_.Close(kCloseBadData, "not a Phoenix message");
    return;
  }
  Handle(std::move(*message));
}

void Session::OnBinary(std::string_view bytes) {
  auto message = ParsePhoenixBinary(bytes);
  if (!message) {
    hub_.counters().malformed.Add();
    socket_.Close(kCloseUnacceptable, "not a Phoenix binary push");
    return;
  }
  // Requests are JSON in either encoding; a push of bytes is well formed, but there is nothing it could mean.
  ReplyTo(*message, false, {{"reason", "requests must be text frames"}, {"code", "bad_subscription"}});
}

void Session::Handle(PhoenixMessage message) {
  if (message.topic == "phoenix") {
    if (message.event == "heartbeat") {
      hub_.counters().heartbeats_received.Add();
      Enqueue(EncodePhoenixReply(message.join_ref, message.ref, message.topic, true, Json::object()));
    } else {
      Enqueue(EncodePhoenixReply(message.join_ref, message.ref, message.topic, false, {{"reason", "unknown event"}}));
    }
    return;
  }
  if (!TakeRateToken(message)) return;
  if (message.topic != kChannel) {
    Enqueue(EncodePhoenixReply(message.join_ref, message.ref, message.topic, false,
                               {{"reason", "unmatched topic"}, {"code", "bad_topic"}}));
    return;
  }
  HandleChannel(std::move(message));
}

void Session::HandleChannel(PhoenixMessage message) {
  if (message.event == "phx_join") return Join(message);
  // A message for a channel that this client has left or replaced meanwhile is for nobody.
  const bool current = joined_ && (!message.join_ref || message.join_ref == join_ref_);
  if (message.event == "phx_leave") {
    if (current) return Leave(message);
    return ReplyTo(message, true, Json::object());
  }
  if (!current) return ReplyTo(message, false, {{"reason", "unmatched topic"}, {"code", "bad_topic"}});
  if (message.event == "sync:subscribe") return Subscribe(std::move(message));
  if (message.event == "sync:unsubscribe") return Unsubscribe(message);
  if (message.event == "sync:heartbeat") return Heartbeat(message);
  if (message.event == "sync:reauthenticate") return Reauthenticate(message);
  ReplyTo(message, false, {{"reason", "unknown event"}});
}

bool Session::TakeRateToken(const PhoenixMessage& message) {
  if (requests_.Take(hub_.NowMs())) return true;
  hub_.counters().rate_limited.Add();
  Json error = ErrorJson("rate_limited", "too many requests on this socket");
  error["retry_after_ms"] = requests_.WaitMs();
  Enqueue(EncodePhoenixReply(message.join_ref, message.ref, message.topic, false, error));
  return false;
}

void Session::Join(const PhoenixMessage& message) {
  if (const auto refusal = JudgeCompatibility(hub_.options().gate, message.payload)) {
    hub_.environment().shared.denials.Add((*refusal)["code"].get_ref<const std::string&>());
    return ReplyTo(message, false, *refusal);
  }
  if (const int64_t wait_ms = hub_.environment().admission.AdmitJoin(hub_.NowMs()); wait_ms != 0) {
    hub_.counters().rate_limited.Add();
    hub_.environment().shared.storms.Add("joins");
    Json error = ErrorJson("rate_limited", "too many clients join at the moment");
    error["retry_after_ms"] = wait_ms;
    return ReplyTo(message, false, error);
  }
  auto parsed = ParseJoin(message.payload);
  if (!parsed.ok()) {
    hub_.environment().shared.denials.Add("bad_subscription");
    return ReplyTo(message, false, ErrorJson("bad_subscription", parsed.error));
  }
  auto pending = std::make_shared<PendingSubscribe>();
  pending->join_ref = message.join_ref;
  pending->ref = message.ref;
  pending->is_join = true;
  pending->request = std::move(parsed.value.subscribe);
  if (!CheckTopics(*pending)) return;
  if (joined_) {
    // As Phoenix does: the earlier channel is closed, then the new one takes its place.
    Enqueue(EncodePhoenixMessage(join_ref_, join_ref_, kChannel, "phx_close", Json::object()));
    LeaveAll();
  }
  SetJoined(true);
  NoteClient(message.payload);
  token_warned_ = false;
  join_ref_ = message.join_ref;
  encoding_ = parsed.value.encoding;
  subscription_id_ = RandomId();
  pending->generation = ++generation_;
  hub_.counters().joins.Add();
  const auto& topics = pending->request.topics;
  if (std::any_of(topics.begin(), topics.end(), [](const auto& topic) { return topic.cursor.has_value(); })) {
    hub_.counters().reconnects.Add();
  }
  BeginSubscribe(pending);
}

void Session::NoteClient(const Json& join) {
  const auto text = [&join](const char* name) {
    const auto found = join.is_object() ? join.find(name) : join.end();
    if (found == join.end() || !found->is_string()) return std::string();
    const std::string_view whole = found->get_ref<const std::string&>();
    // Cut between characters.
    return std::string(whole.substr(0, ValidUtf8Prefix(whole.substr(0, kMaxNameBytes))));
  };
  ClientName name{text("client"), text("client_build_id")};
  client_.reset();
  if (!name.name.empty() || !name.build_id.empty()) client_ = std::make_unique<const ClientName>(std::move(name));
}

void Session::Leave(const PhoenixMessage& message) {
  LeaveAll();
  SetJoined(false);
  ++generation_;
  ReplyTo(message, true, Json::object());
  Enqueue(EncodePhoenixMessage(join_ref_, join_ref_, kChannel, "phx_close", Json::object()));
  join_ref_.reset();
}

void Session::SetJoined(bool joined) {
  hub_.counters().joined.Add(static_cast<int>(joined) - static_cast<int>(joined_));
  joined_ = joined;
}

void Session::LeaveAll() {
  while (!subscriptions_.empty()) RemoveSubscription(subscriptions_.back().get());
}

void Session::Unsubscribe(const PhoenixMessage& message) {
  const auto parsed = ParseUnsubscribe(message.payload);
  if (!parsed.ok()) return ReplyTo(message, false, ErrorJson("bad_subscription", parsed.error));
  for (const auto& topic : parsed.value) {
    if (Subscription* subscription = Find(topic)) RemoveSubscription(subscription);
  }
  Json remaining = Json::array();
  for (const auto& subscription : subscriptions_) remaining.push_back(subscription->topic->name);
  ReplyTo(message, true, {{"subscription_id", SubscriptionId()}, {"topics", std::move(remaining)}});
}

void Session::Heartbeat(const PhoenixMessage& message) {
  hub_.counters().heartbeats_received.Add();
  const auto positions = Positions();
  ReplyTo(message, true, {{"subscription_id", SubscriptionId()}, {"watermarks", CursorsJson(positions)}});
  hub_.counters().heartbeats_sent.Add();
  PushEvent("sync:heartbeat", {{"watermarks", HeartbeatJson(positions)}});
}

void Session::Reauthenticate(const PhoenixMessage& message) {
  const auto token = message.payload.is_object() ? message.payload.find("token") : message.payload.end();
  std::string_view text;
  if (message.payload.is_object() && token != message.payload.end() && token->is_string()) {
    text = token->get_ref<const std::string&>();
  }
  const HubEnvironment& environment = hub_.environment();
  TokenResult result = environment.verifier.Verify(text, environment.clock.WallMs() / 1000);
  if (result.grant && !ContinuesAs(*grant_, *result.grant)) result = {TokenFault::kClaimMismatch, nullptr};
  if (!result.grant) {
    const char* reason = TokenFaultName(result.fault);
    environment.shared.denials.Add(reason);
    Json error = ErrorJson("unauthorized", "the token was not accepted");
    error["reason"] = reason;
    return ReplyTo(message, false, error);
  }
  grant_ = std::move(result.grant);
  hub_.sessions().Update(place_in_index_, *grant_);
  token_warned_ = false;
  ReplyTo(message, true,
          {{"subscription_id", SubscriptionId()},
           {"allowed_topics", grant_->scopes.Names()},
           {"expires_at", grant_->expires_at}});
  Json lost = Json::array();
  for (size_t i = subscriptions_.size(); i-- > 0;) {
    Subscription* subscription = subscriptions_[i].get();
    if (grant_->scopes.Allows(subscription->topic->name)) continue;
    lost.push_back(subscription->topic->name);
    RemoveSubscription(subscription);
  }
  if (lost.empty()) return;
  Json error = ErrorJson("forbidden_topic", "the new token does not allow these topics");
  error["forbidden_topics"] = std::move(lost);
  PushEvent("sync:error", error);
}

bool Session::EndIfRevoked() {
  const HubEnvironment& environment = hub_.environment();
  const auto reason = environment.verifier.Revoked(*grant_, environment.clock.WallMs() / 1000);
  if (!reason) return false;
  environment.shared.closed.Add("revoked");
  if (joined_) {
    Json notice = ErrorJson("reauth_required", "connect again with a new token");
    notice["reason"] = RevocationReasonName(*reason);
    PushEvent("sync:error", notice);
  }
  socket_.Close(kClosePolicy, "reauth_required");
  return true;
}

int64_t Session::OnTimer() {
  // A revocation that came between the upgrade and the session found nobody to end.
  if (EndIfRevoked()) return std::numeric_limits<int64_t>::max();
  const SessionLimits& limits = hub_.options().session;
  const int64_t now = hub_.NowMs();
  if (now >= heartbeat_at_ms_) {
    heartbeat_at_ms_ = now + limits.heartbeat_interval_ms;
    ReportLag();
    // Not on top of answers that cannot be sent: the client has other news to read first.
    if (joined_ && control_.empty()) {
      hub_.counters().heartbeats_sent.Add();
      PushEvent("sync:heartbeat", {{"watermarks", HeartbeatJson(Positions())}});
    }
  }
  const int64_t left_ms = grant_->expires_at * 1000 - hub_.environment().clock.WallMs();
  int64_t token_at_ms = now + left_ms - limits.token_warning_ms;
  if (left_ms <= limits.token_warning_ms) {
    WarnOfToken();
    token_at_ms = now + left_ms + limits.token_grace_ms;
    if (token_at_ms <= now) {
      hub_.environment().shared.closed.Add("token_expired");
      socket_.Close(kClosePolicy, "token_expired");
      return std::numeric_limits<int64_t>::max();
    }
  }
  return std::min(heartbeat_at_ms_, token_at_ms);
}

void Session::TellSlowConsumer() {
  if (!joined_) return;
  Json notice = ErrorJson("slow_consumer", "nothing was read for too long; connect again and resume");
  notice["action"] = "reconnect";
  notice["reconnect_after_ms"] = hub_.options().session.slow_reconnect_ms;
  PushEvent("sync:error", notice);
}

void Session::TellGoingAway() {
  if (!joined_) return;
  const SessionLimits& limits = hub_.options().session;
  Json notice = ErrorJson("going_away", "the server is shutting down; connect again and resume");
  notice["action"] = "reconnect";
  notice["reconnect_after_ms"] =
      limits.reconnect_base_ms +
      static_cast<int64_t>(RandomId() % static_cast<uint64_t>(limits.reconnect_jitter_ms + 1));
  PushEvent("sync:error", notice);
}

// Says once that the token is about to expire. Only in a channel: outside of one nobody listens.
void Session::WarnOfToken() {
  const int64_t left_ms = grant_->expires_at * 1000 - hub_.environment().clock.WallMs();
  if (!joined_ || token_warned_ || left_ms > hub_.options().session.token_warning_ms) return;
  token_warned_ = true;
  Json notice = ErrorJson("token_expired", "send sync:reauthenticate with a new token, or be closed");
  notice["expires_in_ms"] = std::max<int64_t>(0, left_ms);
  PushEvent("sync:error", notice);
}

// Voids at the end of a topic are sent to nobody: past the last event there is nothing to be behind of.
uint64_t Session::ShownHeadOf(const Subscription& subscription) {
  const uint64_t known = HeadOf(subscription);
  return subscription.cursor >= known ? subscription.sent : std::max(known, subscription.sent);
}

std::vector<TopicPosition> Session::Positions() const {
  std::vector<TopicPosition> positions;
  positions.reserve(subscriptions_.size());
  for (const auto& subscription : subscriptions_) {
    positions.push_back(
        {subscription->topic->name, subscription->sent, subscription->epoch, ShownHeadOf(*subscription)});
  }
  return positions;
}

std::string Session::SubscriptionId() const {
  std::array<char, 24> text;
  std::snprintf(text.data(), text.size(), "sub_%016llx", static_cast<unsigned long long>(subscription_id_));
  return text.data();
}

void Session::Reply(const PhoenixRef& join_ref, const PhoenixRef& ref, bool ok, const Json& response) {
  Enqueue(EncodePhoenixReply(join_ref, ref, kChannel, ok, response));
}

void Session::PushEvent(std::string_view event, const Json& payload) {
  Enqueue(EncodePhoenixMessage(std::nullopt, std::nullopt, kChannel, event, payload));
}

void Session::Enqueue(FrameRef frame) {
  control_.push_back(std::move(frame));
  socket_.WantWrite();
}

}  // namespace oasync
