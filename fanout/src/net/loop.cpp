#include "net/loop.h"

#include <libwebsockets.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <string_view>

#include "base/log.h"
#include "net/deflate_extension.h"
#include "net/socket.h"

namespace oasync {
namespace {

constexpr int64_t kHubTickMs = 100;
// What libwebsockets sends at once of what it holds; it goes back to the poller after each.
constexpr size_t kTxPacketBytes = 1048576;
// How long one turn may work on what other threads sent before the sockets are served.
constexpr int64_t kTurnMs = 5;
// Events of one task; a burst is several.
constexpr size_t kEventsAtOnce = 1000;
constexpr int64_t kWarningPauseMs = 1000;
// Connections of the admin listener that are no WebSockets (yet).
constexpr uint32_t kMaxAdminSockets = 64;
// No client can ask for them by SNI.
constexpr char kPublicHost[] = "oa-sync public";
constexpr char kAdminHost[] = "oa-sync admin";

int64_t SteadyUs() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

// libwebsockets' callback type needs its own enum; the header does without the library's headers.
struct LoopCallback {
  static int Call(lws* wsi, lws_callback_reasons reason, void* user, void* in, size_t length) {
    return Loop::Callback(wsi, static_cast<int>(reason), user, in, length);
  }
};

namespace {

// A client that asks for no subprotocol gets the first.
const lws_protocols kProtocols[] = {
    {"phoenix", &LoopCallback::Call, 0, /*rx_buffer_size=*/512, 0, nullptr, kTxPacketBytes},
    {nullptr, nullptr, 0, 0, 0, nullptr, 0},
};

// All zero: libwebsockets keeps no liveness timers; the wheel does.
const lws_retry_bo_t kNoRetryPolicy{};

}  // namespace

void LoopInbox::Post(std::function<void()> task) {
  if (!tasks.Post(std::move(task))) return;
  const std::lock_guard lock(wake_mutex);
  if (ev != nullptr) ev_async_send(ev, &wake);
}

Loop::Loop(ServerShared& shared, LoopCounters& counters, int listen_fd, int admin_fd)
    : shared_(shared),
      counters_(counters),
      inbox_(std::make_shared<LoopInbox>()),
      ev_(ev_loop_new(EVFLAG_AUTO)),
      wheel_(shared.clock.SteadyMs()) {
  listener_ = MakeListener(listen_fd, /*is_admin=*/false);
  if (admin_fd >= 0) admin_listener_ = MakeListener(admin_fd, /*is_admin=*/true);
  hub_ = std::make_unique<Hub>(
      shared_.config.hub,
      HubEnvironment{shared_.router.AddLoop(this, shared_.config.loop_queue), shared_.source, shared_.pages,
                     shared_.admission, [inbox = inbox_](std::function<void()> task) { inbox->Post(std::move(task)); },
                     shared_.clock, shared_.verifier, counters_, shared_.metrics.shared});
}

std::unique_ptr<Listener> Loop::MakeListener(int fd, bool is_admin) {
  return std::make_unique<Listener>(
      ev_, fd, [this, is_admin](int accepted, const IpAddress& peer) { Accept(accepted, peer, is_admin); },
      [this](int error) {
        counters_.accept_errors.Add();
        // Once for the beginning of a row of them; the counter has them all.
        const int64_t now = shared_.clock.SteadyMs();
        if (now >= next_accept_warning_ms_)
          LogWarn("connection.accept_failed", "accept failed: {error}", {{"error", std::strerror(error)}});
        next_accept_warning_ms_ = now + kWarningPauseMs;
      });
}

std::string Loop::Create() {
  ev_set_userdata(ev_, this);
  ev_async_init(&inbox_->wake,
                [](struct ev_loop* ev, ev_async*, int) { static_cast<Loop*>(ev_userdata(ev))->DrainInbox(); });
  ev_async_start(ev_, &inbox_->wake);
  inbox_->ev = ev_;
  ev_timer_init(
      &tick_, [](struct ev_loop* ev, ev_timer*, int) { static_cast<Loop*>(ev_userdata(ev))->OnTick(); },
      TimingWheel::kTickMs / 1000.0, TimingWheel::kTickMs / 1000.0);
  ev_timer_start(ev_, &tick_);
  // After the handlers of one turn and before the next wait: sends everything the turn has brought up.
  ev_prepare_init(&before_poll_,
                  [](struct ev_loop* ev, ev_prepare*, int) { static_cast<Loop*>(ev_userdata(ev))->FlushSockets(); });
  ev_prepare_start(ev_, &before_poll_);
  ev_check_init(&after_poll_, [](struct ev_loop* ev, ev_check*, int) {
    static_cast<Loop*>(ev_userdata(ev))->turn_began_us_ = SteadyUs();
  });
  ev_check_start(ev_, &after_poll_);
  return CreateHosts();
}

// Two virtual hosts, for the two listeners: TLS may differ.
std::string Loop::CreateHosts() {
  void* foreign_loops[] = {ev_};
  lws_context_creation_info info{};
  info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
  info.protocols = kProtocols;
  info.options = LWS_SERVER_OPTION_LIBEV;
  if (shared_.tls) info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_CREATE_VHOST_SSL_CTX;
  info.alpn = "http/1.1";  // no HTTP/2: a WebSocket on a stream of it is another protocol
  info.foreign_loops = foreign_loops;
  info.gid = static_cast<gid_t>(-1);
  info.uid = static_cast<uid_t>(-1);
  info.user = this;
  info.retry_and_idle_policy = &kNoRetryPolicy;
  if (shared_.config.hub.deflate.offered) info.extensions = DeflateExtension();
  info.timeout_secs = static_cast<unsigned int>(shared_.config.handshake_timeout_ms / 1000 + 1);
  info.keepalive_timeout = 5;
  info.max_http_header_data = static_cast<unsigned short>(shared_.config.max_header_bytes);
  info.vhost_name = kPublicHost;
  context_ = lws_create_context(&info);
  if (context_ == nullptr) return "libwebsockets could not create a context";
  vhost_ = lws_get_vhost_by_name(context_, kPublicHost);
  info.vhost_name = kAdminHost;
  if (vhost_ != nullptr && admin_listener_) admin_vhost_ = lws_create_vhost(context_, &info);
  if (vhost_ == nullptr || (admin_listener_ && admin_vhost_ == nullptr)) {
    return "libwebsockets could not create a virtual host";
  }
  return {};
}

Loop::~Loop() {
  listener_.reset();
  admin_listener_.reset();
  if (context_ != nullptr) lws_context_destroy(context_);
  due_.clear();
  // What is destroyed by now has left the hub.
  hub_.reset();
  {
    const std::lock_guard lock(inbox_->wake_mutex);
    inbox_->ev = nullptr;
  }
  ev_timer_stop(ev_, &tick_);
  ev_prepare_stop(ev_, &before_poll_);
  ev_check_stop(ev_, &after_poll_);
  ev_async_stop(ev_, &inbox_->wake);
  ev_loop_destroy(ev_);
}

void Loop::Start() {
  thread_ = std::thread([this] {
    listener_->Start();
    if (admin_listener_) admin_listener_->Start();
    turn_began_us_ = SteadyUs();
    ev_run(ev_, 0);
  });
}

void Loop::Join() {
  if (thread_.joinable()) thread_.join();
}

void Loop::BeginShutdown(int64_t spread_ms, int64_t deadline_ms) {
  inbox_->Post([this, spread_ms, deadline_ms] {
    listener_->Stop();
    if (admin_listener_) admin_listener_->Stop();
    shutdown_at_ms_ = shared_.clock.SteadyMs();
    spread_ms_ = spread_ms;
    end_at_ms_ = shutdown_at_ms_ + spread_ms + deadline_ms;
    leaving_of_ = sockets_.size();
    SendAway(shutdown_at_ms_);
    EndIfEmpty();
  });
}

// Closes as many sockets as should be closed by now; all that are left when the time is over.
void Loop::SendAway(int64_t now) {
  const int64_t elapsed = now - shutdown_at_ms_;
  const bool everyone = elapsed >= spread_ms_;
  const size_t target = everyone ? 0 : leaving_of_ * static_cast<size_t>(elapsed) / static_cast<size_t>(spread_ms_);
  for (Socket* socket : sockets_) {
    if (!everyone && sent_away_ >= target) return;
    if (std::exchange(socket->is_leaving, true)) continue;
    ++sent_away_;
    socket->GoAway();
  }
}

void Loop::PostFollowing(TopicState state) {
  inbox_->Post([this, state = std::move(state)] { hub_->OnFollowing(state); });
}

void Loop::PostEvents(std::vector<EventRef> events) {
  if (events.size() <= kEventsAtOnce) {
    inbox_->Post([this, events = std::move(events)] {
      hub_->OnEvents(events);
      Taken(events);
    });
    return;
  }
  for (size_t first = 0; first < events.size(); first += kEventsAtOnce) {
    const auto begin = events.begin() + static_cast<ptrdiff_t>(first);
    const auto end = events.begin() + static_cast<ptrdiff_t>(std::min(events.size(), first + kEventsAtOnce));
    inbox_->Post([this, some = std::vector<EventRef>(begin, end)] {
      hub_->OnEvents(some);
      Taken(some);
    });
  }
}

void Loop::PostLost(const std::string& topic, uint64_t loss) {
  inbox_->Post([this, topic, loss] { hub_->OnLost(topic, loss); });
}

void Loop::Post(std::function<void(Hub&)> task) {
  inbox_->Post([this, task = std::move(task)] { task(*hub_); });
}

// Many at once, as they come when a database is read, are looked for together.
void Loop::PostRevocations(const std::vector<Revocation>& revocations) {
  const std::lock_guard lock(revoked_mutex_);
  const bool is_posted = !revoked_.empty();
  revoked_.insert(revoked_.end(), revocations.begin(), revocations.end());
  if (is_posted || revoked_.empty()) return;
  inbox_->Post([this] {
    std::vector<Revocation> revoked;
    {
      const std::lock_guard task_lock(revoked_mutex_);
      revoked.swap(revoked_);
    }
    hub_->EndRevoked(revoked);
  });
}

void Loop::Add(Socket* socket) {
  socket->index = sockets_.size();
  sockets_.push_back(socket);
}

void Loop::Remove(Socket* socket) {
  sockets_[socket->index] = sockets_.back();
  sockets_[socket->index]->index = socket->index;
  sockets_.pop_back();
  if (socket->is_flush_pending) std::replace(to_flush_.begin(), to_flush_.end(), socket, static_cast<Socket*>(nullptr));
}

void Loop::FlushSoon(Socket* socket) {
  socket->is_flush_pending = true;
  to_flush_.push_back(socket);
}

bool Loop::MayEnter(const IpAddress& peer, bool is_admin, ClientLimits::Place* place) {
  const char* reason = nullptr;
  const uint32_t sockets = shared_.sockets.load(std::memory_order_relaxed);
  const uint32_t websockets = shared_.websockets.load(std::memory_order_relaxed);
  if (is_admin) {
    const uint32_t admin_sockets = shared_.admin_sockets.load(std::memory_order_relaxed);
    const uint32_t admin_websockets = shared_.admin_websockets.load(std::memory_order_relaxed);
    if (admin_sockets - std::min(admin_sockets, admin_websockets) >= kMaxAdminSockets) {
      reason = "too_many_admin_sockets";
    }
  } else if (sockets - std::min(sockets, websockets) >= shared_.config.max_handshakes) {
    reason = "too_many_handshakes";
  } else if (!shared_.config.trusted_proxies.Contains(peer) && !shared_.limits.EnterAddress(peer, place)) {
    reason = "too_many_connections_of_address";
  }
  if (reason == nullptr) return true;
  shared_.metrics.shared.denials.Add(reason);
  counters_.turned_away.Add();
  return false;
}

void Loop::Accept(int fd, const IpAddress& peer, bool is_admin) {
  (is_admin ? counters_.admin_accepted : counters_.accepted).Add();
  ClientLimits::Place place;
  if (!MayEnter(peer, is_admin, &place)) {
    close(fd);
    return;
  }
  lws* wsi = lws_adopt_socket_vhost(is_admin ? admin_vhost_ : vhost_, fd);
  if (wsi == nullptr) {
    counters_.accept_errors.Add();
    return;
  }
  auto* socket = new Socket(*this, peer, is_admin, std::move(place));  // freed in LWS_CALLBACK_WSI_DESTROY
  socket->Bind(wsi);
  lws_set_opaque_user_data(wsi, socket);
}

int Loop::SetUpTls(ssl_ctx_st* context, bool is_admin) {
  if (!shared_.tls) return 0;
  const std::string error =
      SetUpServerTls(context, *shared_.tls, is_admin ? shared_.config.admin_client_ca : std::string());
  if (!error.empty()) {
    LogError("tls.setup_failed", "{error}", {{"error", error}});
    return -1;
  }
  tls_contexts_.push_back(context);
  return 0;
}

void Loop::SetTls(TlsIdentityRef identity) {
  inbox_->Post([this, identity = std::move(identity)] {
    for (ssl_ctx_st* context : tls_contexts_) UseIdentity(context, *identity);
  });
}

void Loop::DrainInbox() {
  inbox_->tasks.Drain([this](std::function<void()>&& task) { due_.push_back(std::move(task)); });
  const int64_t begun = shared_.clock.SteadyMs();
  while (!due_.empty()) {
    const std::function<void()> task = std::move(due_.front());
    due_.pop_front();
    task();
    if (shared_.clock.SteadyMs() - begun >= kTurnMs) break;
  }
  // The rest after the sockets had their turn.
  if (!due_.empty()) ev_async_send(ev_, &inbox_->wake);
}

void Loop::FlushSockets() {
  // Flushing may announce more, which then goes out in the same round.
  for (size_t i = 0; i < to_flush_.size(); ++i) {
    if (Socket* socket = to_flush_[i]) socket->Flush();
  }
  to_flush_.clear();
  counters_.busy_us.Add(SteadyUs() - turn_began_us_);
}

void Loop::OnTick() {
  const int64_t now = shared_.clock.SteadyMs();
  counters_.last_turn_ms.Set(now);
  wheel_.Advance(now, [](WheelEntry* entry) { static_cast<Socket*>(entry)->OnDeadline(); });
  if (now >= next_hub_tick_ms_) {
    next_hub_tick_ms_ = now + kHubTickMs;
    hub_->Tick();
    CountHandshakes();
  }
  if (end_at_ms_ != 0) SendAway(now);
  EndIfEmpty();
}

void Loop::CountHandshakes() {
  TlsHandshakes sum;
  for (ssl_ctx_st* context : tls_contexts_) {
    const TlsHandshakes handshakes = HandshakesOf(context);
    sum.begun += handshakes.begun;
    sum.completed += handshakes.completed;
  }
  counters_.tls_handshakes.Set(sum.completed);
  counters_.tls_failures.Set(sum.begun - sum.completed);
}

void Loop::EndIfEmpty() {
  if (end_at_ms_ == 0) return;
  if (!sockets_.empty() && shared_.clock.SteadyMs() < end_at_ms_) return;
  if (!sockets_.empty())
    LogWarn("server.sockets_left", "{sockets} sockets did not close before the deadline",
            {{"sockets", sockets_.size()}});
  ev_break(ev_, EVBREAK_ALL);
}

int Loop::Callback(lws* wsi, int reason, void* user, void* in, size_t length) {
  if (reason == LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS) {
    // Not a connection: `user` is the SSL_CTX, `in` the virtual host.
    auto* loop = static_cast<Loop*>(lws_context_user(lws_get_context(wsi)));
    const bool is_admin = std::string_view(lws_get_vhost_name(static_cast<lws_vhost*>(in))) == kAdminHost;
    return loop->SetUpTls(static_cast<ssl_ctx_st*>(user), is_admin);
  }
  auto* socket = wsi == nullptr ? nullptr : static_cast<Socket*>(lws_get_opaque_user_data(wsi));
  if (socket == nullptr) return 0;
  switch (reason) {
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
      return socket->OnUpgrade();
    case LWS_CALLBACK_CONFIRM_EXTENSION_OKAY:
      return socket->MayDeflate() ? 0 : 1;
    case LWS_CALLBACK_ADD_HEADERS:
      return socket->OnUpgradeHeaders(static_cast<lws_process_html_args*>(in));
    case LWS_CALLBACK_HTTP:
      return socket->OnHttp();
    case LWS_CALLBACK_HTTP_BODY:
      return socket->OnHttpBody({static_cast<const char*>(in), length});
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
      return socket->OnHttpBodyEnd();
    case LWS_CALLBACK_HTTP_WRITEABLE:
      return socket->OnHttpWritable();
    case LWS_CALLBACK_ESTABLISHED:
      return socket->OnEstablished();
    case LWS_CALLBACK_RECEIVE:
      return socket->OnReceive(static_cast<const char*>(in), length);
    case LWS_CALLBACK_RECEIVE_PONG:
      socket->OnPong();
      return 0;
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
      return socket->OnPeerClose({static_cast<const char*>(in), length});
    case LWS_CALLBACK_SERVER_WRITEABLE:
      return socket->OnWritable();
    case LWS_CALLBACK_WSI_DESTROY:
      lws_set_opaque_user_data(wsi, nullptr);
      delete socket;
      return 0;
    default:
      return 0;
  }
}

}  // namespace oasync
