#include "net/socket.h"

#include <libwebsockets.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <variant>

#include "base/utf8.h"
#include "net/http.h"
#include "net/loop.h"
#include "net/tcp_progress.h"
#include "net/upgrade.h"

namespace oasync {

static_assert(Frame::kHeadroom >= LWS_PRE, "a frame must leave room for the WebSocket header");

namespace {
// Frames sent to one socket before others are served.
constexpr int kFramesAtOnce = 4;
// How long a peer may take to answer a close frame. libwebsockets has a timer for it too, but on a libev loop that
// timer is not moved forward once it is armed for something later.
constexpr int64_t kCloseAnswerMs = 2000;
}  // namespace

Socket::Socket(Loop& loop) : loop_(loop), last_input_ms_(NowMs()) {
  loop_.shared().sockets.fetch_add(1, std::memory_order_relaxed);
  loop_.Add(this);
  loop_.wheel().Arm(this, NowMs() + loop_.shared().config.handshake_timeout_ms);
}

Socket::~Socket() {
  if (counted_) {
    loop_.shared().websockets.fetch_sub(1, std::memory_order_relaxed);
    loop_.counters().connections.Add(-1);
  }
  loop_.shared().sockets.fetch_sub(1, std::memory_order_relaxed);
  loop_.Remove(this);
}

int64_t Socket::NowMs() const { return loop_.shared().clock.SteadyMs(); }

int Socket::OnUpgrade() {
  auto verdict = JudgeUpgrade(loop_.shared(), ReadUpgradeRequest(wsi_));
  if (const auto* refusal = std::get_if<HttpAnswer>(&verdict)) {
    spdlog::debug("upgrade refused: {} {}", refusal->status, refusal->body);
    SendHttpAnswer(wsi_, *refusal);
    return -1;  // hangs up once the answer is out
  }
  grant_ = std::move(std::get<GrantRef>(verdict));
  return 0;
}

int Socket::OnHttp(std::string_view path, bool is_get) {
  SendHttpAnswer(wsi_, AnswerHttp(loop_.shared(), path, is_get));
  return -1;  // hangs up once the answer is out
}

int Socket::OnEstablished() {
  if (!grant_) return -1;
  counted_ = true;
  loop_.shared().websockets.fetch_add(1, std::memory_order_relaxed);
  loop_.counters().connections.Add();
  state_ = State::kOpen;
  last_input_ms_ = NowMs();
  session_ = std::make_shared<Session>(loop_.hub(), *this, std::move(grant_));
  OnDeadline();
  return 0;
}

int Socket::OnReceive(const char* bytes, size_t size) {
  HeardFromClient();
  if (state_ != State::kOpen || close_code_ != 0) return 0;
  if (lws_is_first_fragment(wsi_) != 0) incoming_.clear();
  const size_t remaining = lws_remaining_packet_payload(wsi_);
  if (incoming_.size() + size + remaining > loop_.shared().config.max_frame_bytes) {
    loop_.counters().oversized.Add();
    Close(kCloseTooBig, "message too big");
    return CloseNow();
  }
  const bool complete = remaining == 0 && lws_is_final_fragment(wsi_) != 0;
  const bool binary = lws_frame_is_binary(wsi_) != 0;
  if (complete && incoming_.empty()) return OnMessage({bytes, size}, binary);
  incoming_.append(bytes, size);
  if (!complete) return 0;
  // Moved out: memory for input is held only while a message is under way.
  const std::string message = std::exchange(incoming_, {});
  return OnMessage(message, binary);
}

int Socket::OnMessage(std::string_view message, bool binary) {
  loop_.counters().messages_received.Add();
  loop_.counters().bytes_received.Add(static_cast<int64_t>(message.size()));
  if (binary) {
    session_->OnBinary(message);
  } else if (IsValidUtf8(message)) {
    session_->OnText(message);
  } else {
    loop_.counters().malformed.Add();
    Close(kCloseBadData, "not UTF-8");
  }
  if (close_code_ != 0 && !session_->HasControlFrames()) return CloseNow();
  UpdateInputFlow();
  return 0;
}

int Socket::OnWritable() {
  waiting_since_ms_ = 0;
  if (state_ != State::kOpen) return 0;
  if (!SendSome()) return -1;
  if (close_code_ != 0 && !session_->HasControlFrames() && waiting_since_ms_ == 0) return CloseNow();
  return 0;
}

void Socket::Flush() {
  is_flush_pending = false;
  if (state_ != State::kOpen || waiting_since_ms_ != 0) return;
  if (!SendSome()) {
    Kill("write failed");
    return;
  }
  // Closing with a reason is done from the write callback only.
  if (close_code_ != 0 && waiting_since_ms_ == 0) WaitWritable();
}

bool Socket::SendSome() {
  if (ping_due_ && lws_partial_buffered(wsi_) == 0 && !SendPing()) return false;
  for (int i = 0; i < kFramesAtOnce; ++i) {
    // libwebsockets copies what the kernel does not take. Never more than one frame of it.
    if (lws_partial_buffered(wsi_) != 0) break;
    if (close_code_ != 0 && !session_->HasControlFrames()) return true;
    const FrameRef frame = session_->NextFrame();
    if (!frame) break;
    if (!SendFrame(frame.get())) return false;
  }
  UpdateInputFlow();
  if (lws_partial_buffered(wsi_) != 0 || session_->HasFrames()) WaitWritable();
  return true;
}

bool Socket::SendFrame(Frame* frame) {
  const size_t size = frame->size();
  if (lws_write(wsi_, frame->payload(), size, frame->binary() ? LWS_WRITE_BINARY : LWS_WRITE_TEXT) < 0) return false;
  LoopCounters& counters = loop_.counters();
  counters.frames_sent.Add();
  counters.bytes_sent.Add(static_cast<int64_t>(size));
  if (frame->updates > 0) {
    counters.batches_sent[frame->binary() ? 1 : 0].Add();
    counters.updates_sent[frame->binary() ? 1 : 0].Add(frame->updates);
  }
  if (frame->oldest_commit_us != 0) {
    counters.commit_to_socket.Observe(std::max<int64_t>(0, SystemClock::WallUs() - frame->oldest_commit_us));
  }
  return true;
}

bool Socket::SendPing() {
  ping_due_ = false;
  ping_sent_ = true;
  // Not an empty ping: the pong repeats what the ping carries, and libwebsockets 4.1.6 keeps an empty pong to itself.
  static constexpr char kBody[] = "life";
  unsigned char ping[LWS_PRE + sizeof(kBody)];
  memcpy(ping + LWS_PRE, kBody, sizeof(kBody) - 1);
  return lws_write(wsi_, ping + LWS_PRE, sizeof(kBody) - 1, LWS_WRITE_PING) >= 0;
}

void Socket::WantWrite() {
  if (!is_flush_pending && state_ == State::kOpen) loop_.FlushSoon(this);
}

void Socket::WaitWritable() {
  if (waiting_since_ms_ == 0) waiting_since_ms_ = NowMs();
  lws_callback_on_writable(wsi_);
}

void Socket::UpdateInputFlow() {
  const bool pause = !session_->WantsInput();
  if (pause == input_paused_) return;
  input_paused_ = pause;
  lws_rx_flow_control(wsi_, pause ? 0 : 1);
}

void Socket::Close(uint16_t code, std::string_view reason) {
  if (close_code_ != 0) return;
  close_code_ = code;
  close_reason_ = reason.data();  // always a literal
  close_at_ms_ = NowMs() + loop_.shared().config.close_timeout_ms;
  loop_.wheel().Arm(this, close_at_ms_);
  WantWrite();
}

// From a callback of libwebsockets: the close frame goes out, and the connection ends when the peer has answered it.
int Socket::CloseNow() {
  state_ = State::kClosing;
  unsigned char reason[123];  // what a close frame can carry
  const size_t size = std::min(std::strlen(close_reason_), sizeof(reason));
  std::memcpy(reason, close_reason_, size);
  lws_close_reason(wsi_, static_cast<lws_close_status>(close_code_), reason, size);
  loop_.wheel().Arm(this, NowMs() + kCloseAnswerMs);
  return -1;
}

// Ends a connection that cannot be spoken to. Only the socket is shut: libwebsockets notices and cleans up in its own
// time, which is safe from any place in the loop.
void Socket::Kill(const char* reason) {
  state_ = State::kClosing;
  spdlog::debug("socket killed: {}", reason);
  if (input_paused_) lws_rx_flow_control(wsi_, 1);
  const linger abort_at_once{1, 0};
  const int fd = lws_get_socket_fd(wsi_);
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort_at_once, sizeof(abort_at_once));
  shutdown(fd, SHUT_RDWR);
}

void Socket::GoAway() {
  if (state_ == State::kOpen) {
    Close(kCloseGoingAway, "server is going away");
  } else if (state_ == State::kHandshake) {
    Kill("shutdown");
  }
}

void Socket::OnDeadline() {
  const int64_t now = NowMs();
  if (state_ == State::kHandshake) {
    loop_.counters().handshake_timeouts.Add();
    return Kill("handshake timeout");
  }
  if (state_ == State::kClosing) return Kill("no answer to close");
  const int64_t timeout = loop_.shared().config.client_timeout_ms;
  int64_t next = now + timeout / 4;
  if (waiting_since_ms_ != 0) CheckStall(now);
  if (state_ != State::kOpen) return;
  if (close_code_ != 0) {
    if (now >= close_at_ms_) return Kill("the close frame cannot be sent");
    return loop_.wheel().Arm(this, std::min(next, close_at_ms_));
  }
  // A client whose input is paused cannot be heard.
  if (input_paused_) last_input_ms_ = now;
  const int64_t silence = now - last_input_ms_;
  if (silence >= timeout) {
    loop_.counters().silent_closed.Add();
    return Close(kClosePolicy, "silent");
  }
  if (silence >= timeout / 2 && !ping_sent_) {
    ping_due_ = true;
    WantWrite();
  }
  if (now >= session_at_ms_) session_at_ms_ = session_->OnTimer();
  if (close_code_ != 0) return;  // armed for that
  next = std::min({next, session_at_ms_, std::max(now + 1, last_input_ms_ + timeout)});
  loop_.wheel().Arm(this, next);
}

// A socket that takes no byte for the timeout is given up. Room in it is announced only when a whole frame is out, so
// progress within a frame is looked for in the acknowledged bytes.
void Socket::CheckStall(int64_t now) {
  const uint64_t acknowledged = AcknowledgedBytes(lws_get_socket_fd(wsi_));
  if (acknowledged != acknowledged_bytes_) {
    acknowledged_bytes_ = acknowledged;
    waiting_since_ms_ = now;
    return;
  }
  if (now - waiting_since_ms_ < loop_.shared().config.client_timeout_ms) return;
  loop_.counters().slow_closed.Add();
  loop_.shared().metrics.shared.closed.Add("slow");
  Kill("takes no bytes");
}

}  // namespace oasync
