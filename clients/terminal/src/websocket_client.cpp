#include "websocket_client.h"

#include <libwebsockets.h>

#include <algorithm>
#include <array>
#include <deque>
#include <exception>
#include <string_view>

#include "base/clock.h"
#include "stop.h"

namespace oasync::terminal {
namespace {

constexpr size_t kReadBytes = 65536;
constexpr int kHandshakeTimeoutS = 20;
constexpr int kGoodbyeMs = 500;
constexpr char kProtocolName[] = "phoenix";
constexpr char kTokenHeader[] = "authorization:";

// All zero: no pings of the library. The server's heartbeats tell whether it lives.
const lws_retry_bo_t kNoRetryPolicy{};

}  // namespace

struct WebSocketClient::State {
  Endpoint endpoint;
  TlsOptions tls;
  size_t max_message_bytes = 0;
  std::string token;
  TlsContext tls_context{nullptr, nullptr};
  lws_context* context = nullptr;
  lws* socket = nullptr;
  bool closing = false;
  bool ended = false;    // kFailed, kClosed or kBroken was said
  int close_status = 0;  // of the peer's close frame
  std::string close_reason;
  std::string message;  // fragments so far
  std::deque<std::string> outgoing;
  std::deque<WebSocketEvent> events;
  lws_sorted_usec_list_t timer{};

  static int Callback(lws* wsi, lws_callback_reasons reason, void* user, void* in, size_t length);
  int On(lws* wsi, lws_callback_reasons reason, void* in, size_t length);
  int AppendToken(lws* wsi, unsigned char** at, const unsigned char* end) const;
  int Receive(lws* wsi, std::string_view piece);
  int WriteOne(lws* wsi);
  void End(WebSocketEvent event);
  void Service(int timeout_ms);
};

namespace {

// The token may have 8 kB, and stands in this buffer with the rest of the request.
constexpr unsigned kServiceBuffer = 65536;

lws_protocols ProtocolOf(lws_callback_function* callback) {
  lws_protocols protocol{};
  protocol.name = kProtocolName;
  protocol.callback = callback;
  protocol.rx_buffer_size = kReadBytes;
  return protocol;
}

}  // namespace

// Nothing that is thrown may pass through the library, which is C.
int WebSocketClient::State::Callback(lws* wsi, lws_callback_reasons reason, void*, void* in, size_t length) {
  auto* state = static_cast<State*>(lws_context_user(lws_get_context(wsi)));
  if (state == nullptr) return 0;
  try {
    return state->On(wsi, reason, in, length);
  } catch (const std::exception& failure) {
    try {
      state->End({WebSocketEvent::Kind::kBroken, false, {}, 0, failure.what()});
    } catch (const std::exception&) {
      state->ended = true;
    }
    return -1;
  }
}

int WebSocketClient::State::On(lws* wsi, lws_callback_reasons reason, void* in, size_t length) {
  switch (reason) {
    case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER: {
      auto** at = static_cast<unsigned char**>(in);
      return AppendToken(wsi, at, *at + length);
    }
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
      events.push_back({WebSocketEvent::Kind::kOpen, false, {}, 0, {}});
      return 0;
    case LWS_CALLBACK_CLIENT_RECEIVE:
      return Receive(wsi, {static_cast<const char*>(in), length});
    case LWS_CALLBACK_CLIENT_WRITEABLE:
      return WriteOne(wsi);
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
      if (length >= 2) {
        const auto* bytes = static_cast<const unsigned char*>(in);
        close_status = bytes[0] << 8 | bytes[1];
        close_reason.assign(static_cast<const char*>(in) + 2, length - 2);
      }
      return 0;
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR: {
      const auto status = static_cast<int>(lws_http_client_http_response(wsi));
      const std::string why = in == nullptr ? "cannot connect" : std::string(static_cast<const char*>(in), length);
      socket = nullptr;
      End({WebSocketEvent::Kind::kFailed, false, {}, status == 101 ? 0 : status, why});
      return 0;
    }
    case LWS_CALLBACK_CLIENT_CLOSED:
      socket = nullptr;
      End({WebSocketEvent::Kind::kClosed, false, {}, close_status, close_reason});
      return 0;
    case LWS_CALLBACK_WSI_DESTROY:
      // A connection that ended before it was one of ours says nothing else.
      if (wsi == socket) {
        socket = nullptr;
        End({WebSocketEvent::Kind::kFailed, false, {}, 0, "the connection was closed"});
      }
      return 0;
    default:
      return 0;
  }
}

int WebSocketClient::State::AppendToken(lws* wsi, unsigned char** at, const unsigned char* end) const {
  if (token.empty()) return 0;
  const std::string value = "Bearer " + token;
  return lws_add_http_header_by_name(wsi, reinterpret_cast<const unsigned char*>(kTokenHeader),
                                     reinterpret_cast<const unsigned char*>(value.data()),
                                     static_cast<int>(value.size()), at, const_cast<unsigned char*>(end));
}

int WebSocketClient::State::Receive(lws* wsi, std::string_view piece) {
  if (closing || ended) return -1;
  if (message.size() + piece.size() + lws_remaining_packet_payload(wsi) > max_message_bytes) {
    End({WebSocketEvent::Kind::kBroken,
         false,
         {},
         1009,
         "a message of more than " + std::to_string(max_message_bytes) + " bytes (--max-message-bytes)"});
    lws_close_reason(wsi, LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE, nullptr, 0);
    return -1;
  }
  message += piece;
  if (lws_remaining_packet_payload(wsi) > 0 || lws_is_final_fragment(wsi) == 0) return 0;
  events.push_back({WebSocketEvent::Kind::kMessage, lws_frame_is_binary(wsi) != 0, std::move(message), 0, {}});
  message.clear();
  return 0;
}

int WebSocketClient::State::WriteOne(lws* wsi) {
  if (!outgoing.empty()) {
    std::string frame(LWS_PRE, '\0');
    frame += outgoing.front();
    const size_t size = outgoing.front().size();
    outgoing.pop_front();
    auto* bytes = reinterpret_cast<unsigned char*>(frame.data()) + LWS_PRE;
    if (lws_write(wsi, bytes, size, LWS_WRITE_TEXT) < static_cast<int>(size)) return -1;
    lws_callback_on_writable(wsi);
    return 0;
  }
  if (!closing) return 0;
  lws_close_reason(wsi, LWS_CLOSE_STATUS_NORMAL, nullptr, 0);
  return -1;
}

void WebSocketClient::State::End(WebSocketEvent event) {
  if (ended) return;
  ended = true;
  events.push_back(std::move(event));
}

// Turns the library once, for at most so long: it has no timeout of its own, but timers that end its wait.
void WebSocketClient::State::Service(int timeout_ms) {
  lws_sul_schedule(
      context, 0, &timer, [](lws_sorted_usec_list_t*) {}, int64_t{std::max(timeout_ms, 1)} * LWS_US_PER_MS);
  lws_service(context, 0);
  lws_sul_cancel(&timer);
}

WebSocketClient::WebSocketClient(Endpoint endpoint, TlsOptions tls, size_t max_message_bytes)
    : state_(std::make_unique<State>()) {
  state_->endpoint = std::move(endpoint);
  state_->tls = std::move(tls);
  state_->max_message_bytes = max_message_bytes;
}

WebSocketClient::~WebSocketClient() {
  if (state_->context != nullptr) lws_context_destroy(state_->context);
}

void WebSocketClient::Connect(const std::string& token) {
  State& state = *state_;
  state.token = token;
  const Endpoint& endpoint = state.endpoint;
  lws_set_log_level(0, nullptr);
  static const std::array<lws_protocols, 2> kProtocols = {ProtocolOf(&State::Callback), lws_protocols{}};
  lws_context_creation_info info{};
  info.port = CONTEXT_PORT_NO_LISTEN;
  info.protocols = kProtocols.data();
  info.gid = static_cast<gid_t>(-1);
  info.uid = static_cast<uid_t>(-1);
  info.user = &state;
  info.fd_limit_per_thread = 16;
  info.pt_serv_buf_size = kServiceBuffer;
  info.timeout_secs = kHandshakeTimeoutS;
  info.retry_and_idle_policy = &kNoRetryPolicy;
  if (endpoint.tls) {
    std::string error;
    state.tls_context = MakeTlsContext(endpoint, state.tls, &error);
    if (!state.tls_context) return state.End({WebSocketEvent::Kind::kFailed, false, {}, 0, error});
    info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
    info.provided_client_ssl_ctx = state.tls_context.get();
  }
  state.context = lws_create_context(&info);
  if (state.context == nullptr) {
    state.End({WebSocketEvent::Kind::kFailed, false, {}, 0, "libwebsockets could not be set up"});
    return;
  }
  const std::string authority = endpoint.Authority();
  const std::string path = endpoint.socket + "?vsn=2.0.0";
  lws_client_connect_info connect{};
  connect.context = state.context;
  connect.address = endpoint.host.c_str();
  connect.port = endpoint.port;
  connect.path = path.c_str();
  connect.host = authority.c_str();
  connect.protocol = kProtocolName;
  connect.local_protocol_name = kProtocolName;
  connect.alpn = "http/1.1";
  connect.pwsi = &state.socket;
  // A token goes to the server that was named and to no other.
  connect.ssl_connection = LCCSCF_HTTP_NO_FOLLOW_REDIRECT;
  if (endpoint.tls) connect.ssl_connection |= LCCSCF_USE_SSL;
  // libwebsockets compares certificates with names only; for an address the TLS context has what is needed.
  if (endpoint.tls && IsAddress(endpoint.host)) connect.ssl_connection |= LCCSCF_SKIP_SERVER_CERT_HOSTNAME_CHECK;
  if (lws_client_connect_via_info(&connect) == nullptr) {
    state.socket = nullptr;
    state.End({WebSocketEvent::Kind::kFailed, false, {}, 0, "cannot connect"});
  }
}

WebSocketEvent WebSocketClient::Next(int timeout_ms) {
  State& state = *state_;
  const SystemClock clock;
  const int64_t deadline = clock.SteadyMs() + timeout_ms;
  // The socket has its turn at least once, also when there is no time to wait.
  for (int64_t left = timeout_ms; state.events.empty(); left = deadline - clock.SteadyMs()) {
    if (StopSignal() != 0 || state.context == nullptr || state.ended) return {};
    state.Service(static_cast<int>(std::clamp<int64_t>(left, 1, kLookForStopMs)));
    if (state.events.empty() && clock.SteadyMs() >= deadline) return {};
  }
  WebSocketEvent event = std::move(state.events.front());
  state.events.pop_front();
  return event;
}

void WebSocketClient::Send(std::string text) {
  state_->outgoing.push_back(std::move(text));
  if (state_->socket != nullptr) lws_callback_on_writable(state_->socket);
}

void WebSocketClient::Close() {
  State& state = *state_;
  if (state.socket == nullptr || state.ended) return;
  state.closing = true;
  lws_callback_on_writable(state.socket);
  const SystemClock clock;
  const int64_t deadline = clock.SteadyMs() + kGoodbyeMs;
  while (!state.ended && clock.SteadyMs() < deadline) state.Service(kLookForStopMs / 4);
}

}  // namespace oasync::terminal
