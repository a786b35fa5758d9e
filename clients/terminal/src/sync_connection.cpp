#include "sync_connection.h"

#include <algorithm>

#include "base/clock.h"
#include "http_client.h"

namespace oasync::terminal {
namespace {

using Kind = SyncEvent::Kind;

constexpr int64_t kJoinWithinMs = 20000;
constexpr int64_t kBeatMs = 20000;  // of the Phoenix heartbeat
constexpr int64_t kMinSilenceMs = 2000;
constexpr int64_t kMaxSilenceMs = 180000;
constexpr int kExplainWithinMs = 5000;

int64_t NowMs() { return SystemClock().SteadyMs(); }

SyncEvent Event(Kind kind, std::string text = {}, Json payload = {}) {
  SyncEvent event;
  event.kind = kind;
  event.text = std::move(text);
  event.payload = std::move(payload);
  return event;
}

std::optional<int64_t> Milliseconds(const Json& object, const char* name) {
  const auto number = ReadInteger(Member(object, name));
  if (!number) return std::nullopt;
  return static_cast<int64_t>(std::min<uint64_t>(*number, 3600000));
}

// "forbidden_topic: not allowed (secret, other)"
std::string Describe(const Json& error) {
  std::string text = TextMember(error, "code");
  if (text.empty()) text = TextMember(error, "reason");
  if (text.empty()) text = "refused without a reason";
  const std::string message = TextMember(error, "message");
  if (!message.empty()) text += ": " + message;
  std::string names;
  for (const Json& topic : Member(error, "forbidden_topics")) {
    if (topic.is_string()) names += (names.empty() ? "" : ", ") + topic.get<std::string>();
  }
  if (!names.empty()) text += " (" + names + ")";
  return text;
}

}  // namespace

SyncConnection::SyncConnection(const Endpoint& endpoint, const TlsOptions& tls, size_t max_message_bytes,
                               Follower* follower)
    : endpoint_(endpoint), tls_(tls), follower_(follower), socket_(endpoint, tls, max_message_bytes) {}

void SyncConnection::Start(const std::string& token) {
  token_ = token;
  last_heard_ms_ = NowMs();
  next_beat_ms_ = last_heard_ms_ + kBeatMs;
  silence_ms_ = kJoinWithinMs;
  socket_.Connect(token);
}

SyncEvent SyncConnection::Next(int timeout_ms) {
  KeepAlive();
  const WebSocketEvent event = socket_.Next(timeout_ms);
  switch (event.kind) {
    case WebSocketEvent::Kind::kNothing:
      return JudgeSilence();
    case WebSocketEvent::Kind::kOpen: {
      last_heard_ms_ = NowMs();
      Json params = {{"client", "oa-sync"}, {"encoding", "proto"}};
      if (!follower_->topics().empty()) {
        params["topics"] = follower_->names();
        params["resume_after"] = follower_->ResumeAfter();
      }
      Ask(Request::kJoin, "phx_join", params);
      return {};
    }
    case WebSocketEvent::Kind::kMessage:
      last_heard_ms_ = NowMs();
      return OnMessage(event);
    case WebSocketEvent::Kind::kFailed:
      return OnFailure(event);
    case WebSocketEvent::Kind::kBroken:
      return Event(Kind::kBroken, event.reason);
    case WebSocketEvent::Kind::kClosed:
      break;
  }
  if (!notice_.empty()) return Event(Kind::kLost, notice_);
  if (event.status == 0) return Event(Kind::kLost, "the connection was closed");
  return Event(Kind::kLost, "closed by the server, " + std::to_string(event.status) +
                                (event.reason.empty() ? "" : " " + event.reason));
}

void SyncConnection::KeepAlive() {
  const int64_t now = NowMs();
  if (now < next_beat_ms_) return;
  next_beat_ms_ = now + kBeatMs;
  socket_.Send(EncodeHeartbeat(next_ref_++));
}

// The server pushes heartbeats; a connection that says nothing for several of them is none any more. Judged when there
// is nothing to read: who did not read for as long, because nobody took the output, has no silence to complain about.
SyncEvent SyncConnection::JudgeSilence() const {
  if (NowMs() - last_heard_ms_ <= silence_ms_) return {};
  return Event(Kind::kLost, "nothing was heard of the server for " + std::to_string(silence_ms_ / 1000) + " s");
}

void SyncConnection::Ask(Request what, const char* event, const Json& payload) {
  open_[std::to_string(next_ref_)] = what;
  socket_.Send(EncodeRequest(next_ref_++, event, payload));
}

void SyncConnection::Resubscribe(const std::string& topic) {
  Ask(Request::kSubscribe, "sync:subscribe",
      {{"topics", Json::array({topic})}, {"resume_after", follower_->ResumeAfter(topic)}});
}

void SyncConnection::AskHeartbeat() {
  const bool asked =
      std::any_of(open_.begin(), open_.end(), [](const auto& entry) { return entry.second == Request::kHeartbeat; });
  if (!asked) Ask(Request::kHeartbeat, "sync:heartbeat", Json::object());
}

void SyncConnection::Reauthenticate(const std::string& token) {
  token_ = token;
  Ask(Request::kReauthenticate, "sync:reauthenticate", {{"token", token}});
}

void SyncConnection::Close() { socket_.Close(); }

SyncEvent SyncConnection::OnMessage(const WebSocketEvent& message) {
  std::string error;
  auto frame = ParseServerFrame(message.data, message.is_binary, &error);
  if (!frame) return Event(Kind::kBroken, "the server sent " + error);
  switch (frame->kind) {
    case ServerFrame::Kind::kBatch: {
      SyncEvent event = Event(Kind::kBatch);
      event.batch = std::move(frame->batch);
      return event;
    }
    case ServerFrame::Kind::kReply:
      return OnReply(*frame);
    case ServerFrame::Kind::kEvent:
      break;
  }
  return OnPush(*frame);
}

SyncEvent SyncConnection::OnReply(const ServerFrame& frame) {
  const auto found = open_.find(frame.ref);
  if (found == open_.end()) return {};  // of a Phoenix heartbeat
  const Request what = found->second;
  open_.erase(found);
  switch (what) {
    case Request::kJoin:
      return OnJoinReply(frame);
    case Request::kSubscribe:
      if (!frame.ok) return OnRefusal(frame.payload);
      follower_->Adopt(frame.payload);
      return {};
    case Request::kHeartbeat:
      follower_->Heartbeat(frame.payload);
      return {};
    case Request::kReauthenticate:
      break;
  }
  return frame.ok ? Event(Kind::kTokenAccepted) : Event(Kind::kTokenRefused, Describe(frame.payload));
}

SyncEvent SyncConnection::OnJoinReply(const ServerFrame& frame) {
  if (!frame.ok) return OnRefusal(frame.payload);
  const Json& response = frame.payload;
  const Json& backoff = Member(response, "reconnect_backoff_ms");
  advice_.base_ms = Milliseconds(backoff, "base");
  advice_.jitter_ms = Milliseconds(backoff, "jitter");
  const int64_t beat = Milliseconds(response, "heartbeat_interval_ms").value_or(15000);
  silence_ms_ = std::clamp(3 * beat, kMinSilenceMs, kMaxSilenceMs);
  if (const Json& stale = Member(response, "stale"); stale.is_object()) return Event(Kind::kStale, {}, stale);
  follower_->Adopt(response);
  return Event(Kind::kJoined);
}

SyncEvent SyncConnection::OnRefusal(const Json& error) {
  const std::string code = TextMember(error, "code");
  if (code == "stale_cursor") return Event(Kind::kStale, {}, error);
  if (code == "rate_limited") {
    advice_.once_ms = Milliseconds(error, "retry_after_ms");
    return Event(Kind::kBusy, Describe(error));
  }
  if (code == "internal") return Event(Kind::kBusy, Describe(error));
  return Event(code == "unauthorized" ? Kind::kUnauthorized : Kind::kRefused, Describe(error));
}

SyncEvent SyncConnection::OnPush(const ServerFrame& frame) {
  if (frame.event == "sync:heartbeat") {
    follower_->Heartbeat(frame.payload);
    return {};
  }
  if (frame.event == "phx_close" || frame.event == "phx_error") {
    return Event(Kind::kLost, notice_.empty() ? "the server closed the channel" : notice_);
  }
  if (frame.event != "sync:error") return {};
  const std::string code = TextMember(frame.payload, "code");
  if (code == "token_expired") return Event(Kind::kTokenExpiring);
  if (code == "stale_cursor") return Event(Kind::kStale, {}, frame.payload);
  if (code == "forbidden_topic") return Event(Kind::kRefused, Describe(frame.payload));
  // What else there is comes before a close; the close itself is what ends the connection.
  if (const auto wait = Milliseconds(frame.payload, "reconnect_after_ms")) advice_.once_ms = wait;
  notice_ = Describe(frame.payload);
  return {};
}

SyncEvent SyncConnection::OnFailure(const WebSocketEvent& failure) {
  return failure.status == 0 ? Event(Kind::kUnreachable, failure.reason) : ExplainRefusal(failure.status);
}

// libwebsockets gives the status of a refused upgrade and nothing else. The same request once more, as plain HTTP,
// brings the reason.
SyncEvent SyncConnection::ExplainRefusal(int status) const {
  HttpRequest request;
  request.path = endpoint_.socket.substr(endpoint_.base.size()) + "?vsn=2.0.0";
  request.headers = {{"Connection", "Upgrade"},
                     {"Upgrade", "websocket"},
                     {"Sec-WebSocket-Version", "13"},
                     {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
                     {"Sec-WebSocket-Protocol", "phoenix"}};
  const HttpOutcome outcome = HttpClient(endpoint_, tls_, kExplainWithinMs).Send(request.Bearer(token_));
  std::string text = "HTTP " + std::to_string(status);
  if (outcome.response && outcome.response->status != 101) {
    status = outcome.response->status;
    text = DescribeError(*outcome.response);
  }
  if (status == 401) return Event(Kind::kUnauthorized, text);
  return Event(status == 429 || status >= 500 ? Kind::kBusy : Kind::kRefused, text);
}

}  // namespace oasync::terminal
