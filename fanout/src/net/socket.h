// Socket: one TCP connection, from its acceptance to its end; a WebSocket once the upgrade is granted.
//
// Owned by libwebsockets' connection (its opaque pointer): destroyed with it. Loop thread only.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "auth/token.h"
#include "base/timing_wheel.h"
#include "hub/session.h"
#include "net/client_limits.h"
#include "net/http_exchange.h"

struct lws;
struct lws_process_html_args;

namespace oasync {

class Loop;

class Socket final : public SessionSocket, public WheelEntry {
 public:
  // `place` is the connection's among those of its address.
  Socket(Loop& loop, const IpAddress& peer, bool is_admin, ClientLimits::Place place);
  ~Socket() override;

  void Bind(lws* wsi) { wsi_ = wsi; }

  // -- libwebsockets' callbacks; a negative answer hangs up
  int OnUpgrade();  // 0: go on
  // Whether permessage-deflate is granted, and the answer's headers then.
  bool MayDeflate() const { return deflate_; }
  int OnUpgradeHeaders(lws_process_html_args* headers);
  int OnHttp();  // any other request
  int OnHttpBody(std::string_view bytes);
  int OnHttpBodyEnd();
  int OnHttpWritable();
  int OnEstablished();
  int OnReceive(const char* bytes, size_t size);
  int OnWritable();
  // The client's close frame: its code and reason.
  int OnPeerClose(std::string_view payload);
  void OnPong() { HeardFromClient(); }

  // -- from the loop
  // Sends what WantWrite announced, without waiting for the poller if the socket has room.
  void Flush();
  // The wheel's deadline came.
  void OnDeadline();
  // Says 1001 and closes; a connection that is no WebSocket is cut.
  void GoAway();

  // -- SessionSocket
  void WantWrite() override;
  void Close(uint16_t code, std::string_view reason) override;
  SocketFacts Describe() const override;

  // Place in the loop's lists.
  size_t index = 0;
  bool is_flush_pending = false;
  bool is_leaving = false;  // GoAway was called

 private:
  enum class State : uint8_t { kHandshake, kHttp, kOpen, kClosing };

  int64_t NowMs() const;
  std::atomic<uint32_t>& Total();       // of the listener's sockets
  std::atomic<uint32_t>& WebSockets();  // of them
  Cell& OpenCell();                     // the same, of the loop
  void CountUpgrade(UpgradeResult result);
  // Takes a place among the WebSockets that there may be; false when there is none.
  bool CountIn();
  void HeardFromClient() {
    last_input_ms_ = NowMs();
    ping_sent_ = false;
  }
  int OnMessage(std::string_view message, bool binary);
  int OnCompressed(std::string_view message, bool binary);
  int RefuseText();
  // Nothing more is to be sent before the close frame.
  bool IsReadyToClose() const { return close_code_ != 0 && !session_->HasControlFrames() && unsent_.empty(); }
  // Sends some frames; false if the connection failed.
  bool SendSome();
  bool SendDirectly();
  bool SendByLibrary();
  size_t TakeFrames(std::span<FrameRef> frames, size_t enough);
  void CountSent(const Frame& frame);
  bool SendPing();
  void WaitWritable();
  int CloseNow();
  int CloseIfSent();
  void Kill(const char* reason);
  void CheckStall(int64_t now);
  void UpdateInputFlow();
  void DispatchHttp();
  void AnswerHttp(HttpAnswer answer);
  int FinishHttp();
  void OnHttpDeadline(int64_t now);
  // Counts it with the client's subject and, behind a proxy, its address; the refusal otherwise.
  std::optional<HttpAnswer> TakePlaces(const Grant& grant, const std::string& forwarded_for);

  Loop& loop_;
  lws* wsi_ = nullptr;
  std::shared_ptr<Session> session_;
  std::shared_ptr<HttpExchange> http_;
  IpAddress peer_;
  IpAddress client_;             // peer_, or who a trusted proxy says it is
  uint64_t bytes_sent_ = 0;      // of frames
  int64_t connected_at_ms_ = 0;  // Unix milliseconds
  ClientLimits::Place address_place_;
  ClientLimits::Place subject_place_;
  GrantRef grant_;                // between the upgrade's grant and the session
  std::string incoming_;          // the fragments of a message so far
  size_t checked_ = 0;            // of incoming_, known to be UTF-8
  std::vector<FrameRef> unsent_;  // taken from the session, but the socket had no room for them
  const char* close_reason_ = nullptr;
  int64_t last_input_ms_;
  int64_t session_at_ms_ = 0;        // when the session wants its timer
  int64_t close_at_ms_ = 0;          // when a close that cannot be sent is given up
  int64_t waiting_since_ms_ = 0;     // for room in the socket; 0 when not
  uint64_t acknowledged_bytes_ = 0;  // when that was last looked at
  uint16_t close_code_ = 0;
  uint8_t strikes_ = 0;  // stall times in a row in which no byte was acknowledged
  State state_ = State::kHandshake;
  const bool is_admin_;
  bool counted_ = false;        // among the WebSockets of the server and of the loop
  bool is_dispatched_ = false;  // the HTTP request, to its handler
  bool input_paused_ = false;
  bool ping_due_ = false;
  bool ping_sent_ = false;    // since the client was last heard
  bool deflate_ = false;      // permessage-deflate was granted
  bool in_frame_ = false;     // more of the frame that is coming in is to come
  bool is_deflated_ = false;  // the message that is coming in
  bool is_direct_ = false;    // frames may be written past libwebsockets
};

}  // namespace oasync
