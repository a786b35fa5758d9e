// Socket, part two: a connection whose request is no WebSocket upgrade.
#include <libwebsockets.h>
#include <sys/socket.h>

#include "net/loop.h"
#include "net/socket.h"

namespace oasync {
namespace {
// How long a client that was answered before it had sent all of its request may go on sending.
constexpr int64_t kLingerMs = 1000;
// How long the answer "timeout" may take.
constexpr int64_t kTimeoutAnswerMs = 2000;
}  // namespace

std::optional<HttpAnswer> Socket::TakePlaces(const Grant& grant, const std::string& forwarded_for) {
  ServerShared& shared = loop_.shared();
  const auto refuse = [&shared](const char* reason) {
    shared.metrics.shared.denials.Add(reason);
    return HttpRetryLater(429, "too_many_connections", reason, 2 * 1000);
  };
  // Behind a proxy only the request tells who it is; other addresses were counted when they connected.
  if (shared.config.trusted_proxies.Contains(peer_)) {
    const IpAddress client = ClientAddress(peer_, forwarded_for, shared.config.trusted_proxies);
    if (client != peer_ && !shared.limits.EnterAddress(client, &address_place_)) {
      return refuse("too_many_connections_of_address");
    }
  }
  if (!shared.limits.EnterSubject(grant.subject, &subject_place_)) return refuse("too_many_connections_of_subject");
  return std::nullopt;
}

int Socket::OnHttp() {
  if (state_ != State::kHandshake) return -1;
  state_ = State::kHttp;
  // libwebsockets' own deadline for a body, which it also sets where there is none. The wheel has ours.
  lws_set_timeout(wsi_, NO_PENDING_TIMEOUT, 0);
  http_ = std::make_shared<HttpExchange>(loop_.ev(), wsi_);
  const Config& config = loop_.shared().config;
  const IpAddress client = ClientAddress(peer_, ReadHeader(wsi_, WSI_TOKEN_X_FORWARDED_FOR), config.trusted_proxies);
  if (auto refusal = http_->ReadHead(client, is_admin_, config.http_max_body_bytes)) {
    AnswerHttp(loop_.shared().http.WithOrigin(http_->request(), std::move(*refusal)));
  } else if (!http_->WantsBody()) {
    DispatchHttp();
  }
  return 0;
}

int Socket::OnHttpBody(std::string_view bytes) {
  if (state_ == State::kHttp) http_->TakeBody(bytes);
  return 0;
}

int Socket::OnHttpBodyEnd() {
  if (state_ == State::kClosing) return -1;  // all was heard; the answer is out
  if (state_ == State::kHttp && !is_dispatched_ && !http_->answered()) DispatchHttp();
  return 0;
}

void Socket::DispatchHttp() {
  is_dispatched_ = true;
  const int64_t now = NowMs();
  loop_.wheel().Arm(this, now + loop_.shared().config.http_timeout_ms);
  http_->PauseInput();
  input_paused_ = true;
  loop_.shared().http.Handle(http_->request(), now,
                             [exchange = std::weak_ptr(http_), inbox = loop_.inbox()](HttpAnswer answer) {
                               inbox->Post([exchange, answer = std::move(answer)]() mutable {
                                 if (const auto waiting = exchange.lock()) waiting->Answer(std::move(answer));
                               });
                             });
}

void Socket::AnswerHttp(HttpAnswer answer) {
  is_dispatched_ = true;
  loop_.wheel().Arm(this, NowMs() + loop_.shared().config.http_timeout_ms);
  http_->Answer(std::move(answer));
}

int Socket::OnHttpWritable() {
  if (state_ != State::kHttp) return 0;
  int result = 0;
  const bool is_over = http_->Write(&result);
  // At once: a client that hangs up with the last byte may be gone before we are called again.
  if (http_->NoteOut()) {
    loop_.counters().http_bytes.Add(static_cast<int64_t>(http_->bytes_out()));
    loop_.shared().metrics.shared.http.Add(std::string(http_->route()) + ' ' + std::to_string(http_->status()));
  }
  return is_over ? FinishHttp() : result;
}

int Socket::FinishHttp() {
  state_ = State::kClosing;
  const bool linger = http_->HasUnreadBody();
  http_.reset();
  if (!linger) return -1;  // hangs up
  // Closing with bytes unread would reset the connection, and the client could lose the answer.
  if (lws_is_ssl(wsi_) == 0) shutdown(lws_get_socket_fd(wsi_), SHUT_WR);
  loop_.wheel().Arm(this, NowMs() + kLingerMs);
  return 0;
}

void Socket::OnHttpDeadline(int64_t now) {
  if (!is_dispatched_) {
    loop_.counters().handshake_timeouts.Add();
    return Kill("request timeout");
  }
  loop_.counters().http_timeouts.Add();
  if (http_->answered()) return Kill("answer not taken in time");
  http_->Answer(HttpRetryLater(504, "unavailable", "timeout", 1000));
  loop_.wheel().Arm(this, now + kTimeoutAnswerMs);
}

}  // namespace oasync
