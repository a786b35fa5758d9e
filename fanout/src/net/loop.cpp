#include "net/loop.h"

#include <libwebsockets.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>

#include "net/http.h"
#include "net/socket.h"

namespace oasync {
namespace {

constexpr int64_t kHubTickMs = 100;

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
    {"phoenix", &LoopCallback::Call, 0, /*rx_buffer_size=*/512, 0, nullptr, /*tx_packet_size=*/65536},
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

Loop::Loop(ServerShared& shared, LoopCounters& counters, int listen_fd)
    : shared_(shared),
      counters_(counters),
      inbox_(std::make_shared<LoopInbox>()),
      ev_(ev_loop_new(EVFLAG_AUTO)),
      wheel_(shared.clock.SteadyMs()) {
  listener_ = std::make_unique<Listener>(
      ev_, listen_fd, [this](int fd) { Accept(fd); },
      [this](int error) {
        counters_.accept_errors.Add();
        spdlog::warn("accept failed: {}", std::strerror(error));
      });
  hub_ = std::make_unique<Hub>(
      shared_.config.hub, HubEnvironment{shared_.router.AddLoop(this), shared_.source,
                                         [inbox = inbox_](std::function<void()> task) { inbox->Post(std::move(task)); },
                                         shared_.clock, shared_.verifier, counters_, shared_.metrics.shared});
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

  void* foreign_loops[] = {ev_};
  lws_context_creation_info info{};
  info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
  info.protocols = kProtocols;
  info.options = LWS_SERVER_OPTION_LIBEV;
  info.foreign_loops = foreign_loops;
  info.gid = static_cast<gid_t>(-1);
  info.uid = static_cast<uid_t>(-1);
  info.user = this;
  info.retry_and_idle_policy = &kNoRetryPolicy;
  info.timeout_secs = static_cast<unsigned int>(shared_.config.handshake_timeout_ms / 1000 + 1);
  info.keepalive_timeout = 5;
  info.max_http_header_data = static_cast<unsigned short>(shared_.config.max_header_bytes);
  context_ = lws_create_context(&info);
  if (context_ == nullptr) return "libwebsockets could not create a context";
  vhost_ = lws_get_vhost_by_name(context_, "default");
  if (vhost_ == nullptr) return "libwebsockets has no default vhost";
  return {};
}

Loop::~Loop() {
  listener_.reset();
  if (context_ != nullptr) lws_context_destroy(context_);
  // What is destroyed by now has left the hub.
  hub_.reset();
  {
    const std::lock_guard lock(inbox_->wake_mutex);
    inbox_->ev = nullptr;
  }
  ev_timer_stop(ev_, &tick_);
  ev_prepare_stop(ev_, &before_poll_);
  ev_async_stop(ev_, &inbox_->wake);
  ev_loop_destroy(ev_);
}

void Loop::Start() {
  thread_ = std::thread([this] {
    listener_->Start();
    ev_run(ev_, 0);
  });
}

void Loop::Join() {
  if (thread_.joinable()) thread_.join();
}

void Loop::BeginShutdown(int64_t deadline_ms) {
  inbox_->Post([this, deadline_ms] {
    listener_->Stop();
    end_at_ms_ = shared_.clock.SteadyMs() + deadline_ms;
    for (Socket* socket : sockets_) socket->GoAway();
    EndIfEmpty();
  });
}

void Loop::PostFollowing(TopicState state) {
  inbox_->Post([this, state = std::move(state)] { hub_->OnFollowing(state); });
}

void Loop::PostEvents(std::vector<EventRef> events) {
  inbox_->Post([this, events = std::move(events)] { hub_->OnEvents(events); });
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

void Loop::Accept(int fd) {
  counters_.accepted.Add();
  if (shared_.sockets.load(std::memory_order_relaxed) >=
      shared_.config.max_connections + shared_.config.spare_connections) {
    shared_.metrics.shared.denials.Add("too_many_sockets");
    close(fd);
    return;
  }
  lws* wsi = lws_adopt_socket_vhost(vhost_, fd);
  if (wsi == nullptr) {
    counters_.accept_errors.Add();
    return;
  }
  auto* socket = new Socket(*this);  // freed in LWS_CALLBACK_WSI_DESTROY
  socket->Bind(wsi);
  lws_set_opaque_user_data(wsi, socket);
}

void Loop::DrainInbox() {
  inbox_->tasks.Drain([](const std::function<void()>& task) { task(); });
}

void Loop::FlushSockets() {
  // Flushing may announce more, which then goes out in the same round.
  for (size_t i = 0; i < to_flush_.size(); ++i) {
    if (Socket* socket = to_flush_[i]) socket->Flush();
  }
  to_flush_.clear();
}

void Loop::OnTick() {
  const int64_t now = shared_.clock.SteadyMs();
  wheel_.Advance(now, [](WheelEntry* entry) { static_cast<Socket*>(entry)->OnDeadline(); });
  if (now >= next_hub_tick_ms_) {
    next_hub_tick_ms_ = now + kHubTickMs;
    hub_->Tick();
  }
  EndIfEmpty();
}

void Loop::EndIfEmpty() {
  if (end_at_ms_ == 0) return;
  if (!sockets_.empty() && shared_.clock.SteadyMs() < end_at_ms_) return;
  if (!sockets_.empty()) spdlog::warn("{} sockets did not close before the deadline", sockets_.size());
  ev_break(ev_, EVBREAK_ALL);
}

int Loop::Callback(lws* wsi, int reason, void*, void* in, size_t length) {
  auto* socket = wsi == nullptr ? nullptr : static_cast<Socket*>(lws_get_opaque_user_data(wsi));
  if (socket == nullptr) return 0;
  switch (reason) {
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
      return socket->OnUpgrade();
    case LWS_CALLBACK_HTTP:
      return socket->OnHttp(static_cast<const char*>(in), lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI) > 0);
    case LWS_CALLBACK_ESTABLISHED:
      return socket->OnEstablished();
    case LWS_CALLBACK_RECEIVE:
      return socket->OnReceive(static_cast<const char*>(in), length);
    case LWS_CALLBACK_RECEIVE_PONG:
      socket->OnPong();
      return 0;
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
