#include "net/socket.h"

#include <libwebsockets.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>
#include <variant>

#include "base/log.h"
#include "base/utf8.h"
#include "net/deflate_extension.h"
#include "net/frame_writer.h"
#include "net/loop.h"
#include "net/tcp_progress.h"
#include "net/upgrade.h"

namespace oasync {

static_assert(Frame::kHeadroom >= LWS_PRE, "a frame must leave room for the WebSocket header");

namespace {
constexpr int kHttpUnauthorized = 401;
constexpr int kHttpForbidden = 403;
// Writes to one socket before others are served.
constexpr size_t kWritesAtOnce = 4;
// How long a peer may take to answer a close frame. libwebsockets has a timer for it too, but on a libev loop that
// timer is not moved forward once it is armed for something later.
constexpr int64_t kCloseAnswerMs = 2000;
// Of lws_get_reserved_bits: the message is compressed.
constexpr unsigned char kRsv1 = 0x40;

// What is wrong with a client's close frame: the code to answer with instead, or 0. RFC 6455, 5.5.1, 7.4 and 8.1.
uint16_t CloseFault(std::string_view payload) {
  if (payload.empty()) return 0;
  if (payload.size() == 1) return LWS_CLOSE_STATUS_PROTOCOL_ERR;
  const int code = static_cast<uint8_t>(payload[0]) << 8 | static_cast<uint8_t>(payload[1]);
  constexpr int kReservedForTheEndpoint[] = {1004, 1005, 1006, 1015};
  const bool defined = code >= 1000 && code <= 1014 &&
                       std::find(std::begin(kReservedForTheEndpoint), std::end(kReservedForTheEndpoint), code) ==
                           std::end(kReservedForTheEndpoint);
  if (!defined && (code < 3000 || code > 4999)) return LWS_CLOSE_STATUS_PROTOCOL_ERR;
  return IsValidUtf8(payload.substr(2)) ? 0 : kCloseBadData;
}
}  // namespace

Socket::Socket(Loop& loop, const IpAddress& peer, bool is_admin, ClientLimits::Place place)
    : loop_(loop), peer_(peer), address_place_(std::move(place)), last_input_ms_(NowMs()), is_admin_(is_admin) {
  Total().fetch_add(1, std::memory_order_relaxed);
  loop_.Add(this);
  loop_.wheel().Arm(this, NowMs() + loop_.shared().config.handshake_timeout_ms);
}

Socket::~Socket() {
  if (counted_) {
    WebSockets().fetch_sub(1, std::memory_order_relaxed);
    OpenCell().Add(-1);
  }
  Total().fetch_sub(1, std::memory_order_relaxed);
  loop_.Remove(this);
}

int64_t Socket::NowMs() const { return loop_.shared().clock.SteadyMs(); }

std::atomic<uint32_t>& Socket::Total() { return is_admin_ ? loop_.shared().admin_sockets : loop_.shared().sockets; }

std::atomic<uint32_t>& Socket::WebSockets() {
  return is_admin_ ? loop_.shared().admin_websockets : loop_.shared().websockets;
}

Cell& Socket::OpenCell() { return is_admin_ ? loop_.counters().admin_connections : loop_.counters().connections; }

bool Socket::CountIn() {
  const Config& config = loop_.shared().config;
  const uint32_t most = is_admin_ ? config.admin_max_connections : config.max_connections;
  std::atomic<uint32_t>& open = WebSockets();
  uint32_t count = open.load(std::memory_order_relaxed);
  do {
    if (count >= most) return false;
  } while (!open.compare_exchange_weak(count, count + 1, std::memory_order_relaxed));
  OpenCell().Add();
  counted_ = true;
  return true;
}

int Socket::OnUpgrade() {
  const auto refuse = [this](const HttpAnswer& refusal) {
    LogDebug("connection.refused", "upgrade refused: {status} {answer}",
             {{"status", refusal.status}, {"answer", refusal.body}});
    const bool is_unauthorized = refusal.status == kHttpUnauthorized || refusal.status == kHttpForbidden;
    CountUpgrade(is_unauthorized ? UpgradeResult::kUnauthorized : UpgradeResult::kRefused);
    SendHttpAnswer(wsi_, refusal);
    return -1;  // hangs up once the answer is out
  };
  UpgradeRequest request = ReadUpgradeRequest(wsi_);
  request.is_admin = is_admin_;
  auto verdict = JudgeUpgrade(loop_.shared(), request);
  if (const auto* refusal = std::get_if<HttpAnswer>(&verdict)) return refuse(*refusal);
  grant_ = std::move(std::get<GrantRef>(verdict));
  client_ = ClientAddress(peer_, request.forwarded_for, loop_.shared().config.trusted_proxies);
  if (!is_admin_) {  // operators have no limit but that of their number
    if (const auto refusal = TakePlaces(*grant_, request.forwarded_for)) return refuse(*refusal);
  }
  // Before the answer goes out: who comes next finds it counted, on whichever loop.
  if (!CountIn()) return refuse(NoRoom(loop_.shared(), FullReason(is_admin_)));
  if (is_admin_) return 0;
  deflate_ = loop_.shared().config.hub.deflate.offered && IsDeflateOfferAcceptable(request.extensions);
  CountUpgrade(UpgradeResult::kAccepted);
  return 0;
}

void Socket::CountUpgrade(UpgradeResult result) {
  if (!is_admin_) loop_.counters().upgrades[static_cast<size_t>(result)].Add();
}

int Socket::OnUpgradeHeaders(lws_process_html_args* headers) {
  return deflate_ && !AddDeflateParameters(headers) ? -1 : 0;
}

int Socket::OnEstablished() {
  if (!grant_) return -1;
  state_ = State::kOpen;
  connected_at_ms_ = loop_.shared().clock.WallMs();
  is_direct_ = lws_is_ssl(wsi_) == 0;
  last_input_ms_ = NowMs();
  session_ = std::make_shared<Session>(loop_.hub(), *this, std::move(grant_));
  if (deflate_) session_->UseDeflate();
  OnDeadline();
  return 0;
}

int Socket::OnReceive(const char* bytes, size_t size) {
  HeardFromClient();
  if (state_ != State::kOpen || close_code_ != 0) return 0;
  if (lws_is_first_fragment(wsi_) != 0) {
    incoming_.clear();
    checked_ = 0;
    is_deflated_ = deflate_ && (lws_get_reserved_bits(wsi_) & kRsv1) != 0;
  } else if (!in_frame_ && (lws_get_reserved_bits(wsi_) & kRsv1) != 0) {
    // RFC 7692, 6.1: the first frame alone says that the message is compressed.
    loop_.counters().malformed.Add();
    Close(LWS_CLOSE_STATUS_PROTOCOL_ERR, "rsv bits");
    return CloseIfSent();
  }
  const size_t remaining = lws_remaining_packet_payload(wsi_);
  in_frame_ = remaining > 0;
  if (incoming_.size() + size + remaining > loop_.shared().config.max_frame_bytes) {
    loop_.counters().oversized.Add();
    Close(kCloseTooBig, "message too big");
    return CloseIfSent();
  }
  const bool complete = remaining == 0 && lws_is_final_fragment(wsi_) != 0;
  const bool binary = lws_frame_is_binary(wsi_) != 0;
  const auto deliver = [&](std::string_view message) {
    return is_deflated_ ? OnCompressed(message, binary) : OnMessage(message, binary);
  };
  if (complete && incoming_.empty()) return deliver({bytes, size});
  incoming_.append(bytes, size);
  if (!complete) {
    // A wrong byte ends the connection when it comes, not with its message's end. The last character may be cut.
    if (binary || is_deflated_) return 0;
    const size_t valid = ValidUtf8Prefix(std::string_view(incoming_).substr(checked_));
    checked_ += valid;
    if (!MayBeginCharacter(std::string_view(incoming_).substr(checked_))) return RefuseText();
    return 0;
  }
  // Moved out: memory for input is held only while a message is under way.
  const std::string message = std::exchange(incoming_, {});
  return deliver(message);
}

int Socket::OnCompressed(std::string_view message, bool binary) {
  std::string inflated;
  switch (loop_.inflater().Inflate(message, loop_.shared().config.max_frame_bytes, &inflated)) {
    case Inflater::Outcome::kOk:
      return OnMessage(inflated, binary);
    case Inflater::Outcome::kTooBig:
      loop_.counters().oversized.Add();
      Close(kCloseTooBig, "message too big");
      return CloseIfSent();
    case Inflater::Outcome::kMalformed:
      break;
  }
  loop_.counters().malformed.Add();
  Close(kCloseBadData, "not deflated");
  return CloseIfSent();
}

int Socket::OnMessage(std::string_view message, bool binary) {
  loop_.counters().messages_received.Add();
  loop_.counters().bytes_received.Add(static_cast<int64_t>(message.size()));
  if (binary) {
    session_->OnBinary(message);
  } else if (IsValidUtf8(message)) {
    session_->OnText(message);
  } else {
    return RefuseText();
  }
  if (close_code_ != 0) return CloseIfSent();
  UpdateInputFlow();
  return 0;
}

int Socket::RefuseText() {
  loop_.counters().malformed.Add();
  Close(kCloseBadData, "not UTF-8");
  return CloseIfSent();
}

int Socket::OnPeerClose(std::string_view payload) {
  HeardFromClient();
  if (state_ == State::kClosing) return 0;  // the answer to ours
  if (!SendSome()) return -1;               // answers to what came before it
  // Nothing that comes behind it is read, and the connection ends even if the library waits for something.
  state_ = State::kClosing;
  loop_.wheel().Arm(this, NowMs() + kCloseAnswerMs);
  const uint16_t fault = CloseFault(payload);
  if (fault == 0) return 0;  // the library answers with the same code
  lws_close_reason(wsi_, static_cast<lws_close_status>(fault), nullptr, 0);
  return -1;
}

int Socket::OnWritable() {
  waiting_since_ms_ = 0;
  strikes_ = 0;
  if (state_ != State::kOpen) return 0;
  if (!SendSome()) return -1;
  if (IsReadyToClose() && waiting_since_ms_ == 0) return CloseNow();
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
  // What libwebsockets holds is the rest of a frame: it comes first, and announces when it is out.
  if (lws_partial_buffered(wsi_) != 0) {
    WaitWritable();
    return true;
  }
  if (ping_due_ && !SendPing()) return false;
  const bool sent = is_direct_ ? SendDirectly() : SendByLibrary();
  if (!sent) return false;
  UpdateInputFlow();
  if (IsReadyToClose()) return true;  // batches that follow are for nobody
  if (waiting_since_ms_ == 0 && (session_->HasFrames() || !unsent_.empty())) WaitWritable();
  return true;
}

bool Socket::SendDirectly() {
  std::array<FrameRef, kFramesAtOnce> frames;
  const size_t turn = loop_.shared().config.max_turn_bytes;
  for (size_t i = 0, sent = 0; i < kWritesAtOnce && sent < turn; ++i) {
    const size_t count = TakeFrames(frames, turn - sent);
    if (count == 0) break;
    for (size_t k = 0; k < count; ++k) sent += frames[k]->effort();
    const WriteOutcome outcome = WriteFrames(wsi_, std::span(frames).first(count));
    if (outcome.failed) return false;
    for (size_t k = 0; k < outcome.taken; ++k) CountSent(*frames[k]);
    unsent_.assign(std::make_move_iterator(frames.begin() + outcome.taken),
                   std::make_move_iterator(frames.begin() + count));
    if (outcome.blocked) {
      WaitWritable();
      break;
    }
  }
  if (unsent_.empty() && unsent_.capacity() > 0) std::vector<FrameRef>().swap(unsent_);
  return true;
}

// The next frames for one write: those that found no room the last time, then the session's, until `enough` bytes.
size_t Socket::TakeFrames(std::span<FrameRef> frames, size_t enough) {
  size_t count = 0;
  size_t bytes = 0;
  for (FrameRef& frame : unsent_) {
    bytes += frame->effort();
    frames[count++] = std::move(frame);
  }
  unsent_.clear();
  while (count < frames.size() && bytes < enough) {
    if (close_code_ != 0 && !session_->HasControlFrames()) break;
    FrameRef frame = session_->NextFrame();
    if (!frame) break;
    bytes += frame->effort();
    frames[count++] = std::move(frame);
  }
  return count;
}

// With TLS: libwebsockets copies what the kernel does not take. Never more than one frame of it.
bool Socket::SendByLibrary() {
  const size_t turn = loop_.shared().config.max_turn_bytes;
  for (size_t i = 0, sent = 0; i < kWritesAtOnce && sent < turn; ++i) {
    if (close_code_ != 0 && !session_->HasControlFrames()) break;
    const FrameRef frame = session_->NextFrame();
    if (!frame) break;
    if (!WriteByLibrary(wsi_, *frame)) return false;
    CountSent(*frame);
    sent += frame->effort();
    if (lws_partial_buffered(wsi_) != 0) {
      WaitWritable();
      break;
    }
  }
  return true;
}

void Socket::CountSent(const Frame& frame) {
  LoopCounters& counters = loop_.counters();
  counters.frames_sent.Add();
  counters.bytes_sent.Add(static_cast<int64_t>(frame.size()));
  bytes_sent_ += frame.size();
  if (frame.updates > 0) {
    counters.batches_sent[frame.binary() ? 1 : 0].Add();
    counters.updates_sent[frame.binary() ? 1 : 0].Add(frame.updates);
  }
  if (frame.oldest_commit_us != 0) {
    counters.commit_to_socket.Observe(std::max<int64_t>(0, SystemClock::WallUs() - frame.oldest_commit_us));
  }
}

SocketFacts Socket::Describe() const { return {client_.Text(), connected_at_ms_, bytes_sent_, strikes_, is_admin_}; }

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

// From a callback of libwebsockets: closes at once when nothing is left to be sent; else the write callback does it. A
// close frame behind output that the library still holds would be lost.
int Socket::CloseIfSent() { return IsReadyToClose() && lws_partial_buffered(wsi_) == 0 ? CloseNow() : 0; }

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
  LogDebug("connection.cut", "socket killed: {reason}", {{"reason", reason}});
  if (input_paused_) lws_rx_flow_control(wsi_, 1);
  const linger abort_at_once{1, 0};
  const int fd = lws_get_socket_fd(wsi_);
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort_at_once, sizeof(abort_at_once));
  shutdown(fd, SHUT_RDWR);
}

void Socket::GoAway() {
  if (state_ == State::kOpen) {
    session_->TellGoingAway();
    Close(kCloseGoingAway, "server is going away");
  } else if (state_ == State::kHandshake || (state_ == State::kHttp && !http_->answered())) {
    Kill("shutdown");
  }
}

void Socket::OnDeadline() {
  const int64_t now = NowMs();
  if (state_ == State::kHandshake) {
    loop_.counters().handshake_timeouts.Add();
    return Kill("handshake timeout");
  }
  if (state_ == State::kHttp) return OnHttpDeadline(now);
  if (state_ == State::kClosing) return Kill("no answer to close");
  const int64_t timeout = loop_.shared().config.client_timeout_ms;
  int64_t next = now + timeout / 4;
  if (waiting_since_ms_ != 0 && close_code_ == 0) CheckStall(now);
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
  if (waiting_since_ms_ != 0) {
    next = std::min(next, std::max(now + 1, waiting_since_ms_ + loop_.shared().config.stall_ms));
  }
  loop_.wheel().Arm(this, next);
}

// A socket that takes no byte for the stall time has a strike; one with too many in a row is closed. Room in it is
// announced only when a whole frame is out, so progress within a frame is looked for in the acknowledged bytes: who
// takes any is slow, and that is allowed.
void Socket::CheckStall(int64_t now) {
  const Config& config = loop_.shared().config;
  const uint64_t acknowledged = AcknowledgedBytes(lws_get_socket_fd(wsi_));
  if (acknowledged != acknowledged_bytes_) {
    acknowledged_bytes_ = acknowledged;
    waiting_since_ms_ = now;
    strikes_ = 0;
    return;
  }
  if (now - waiting_since_ms_ < config.stall_ms) return;
  waiting_since_ms_ = now;
  loop_.counters().slow_strikes.Add();
  if (++strikes_ < config.stall_strikes) return;
  loop_.counters().slow_closed.Add();
  loop_.shared().metrics.shared.closed.Add("slow");
  // What it is told goes out if it reads again within the time that a close may take.
  session_->TellSlowConsumer();
  Close(kClosePolicy, "slow consumer");
}

}  // namespace oasync
