// Loop: one thread's event loop with its sockets, its hub and its part of the listening port.
//
// Each loop is a libwebsockets context of its own on a libev loop that belongs to us: Debian's build allows one service
// thread per context, and its own loops may not be used twice in a process. Connections are accepted by our own
// listener, and other threads reach the loop through its mailbox and a libev async watcher; neither needs
// libwebsockets' wake-up, which also fires for every new connection.
#pragma once

#include <ev.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/mailbox.h"
#include "base/timing_wheel.h"
#include "hub/hub.h"
#include "hub/router.h"
#include "net/listener.h"
#include "net/shared.h"

struct lws;
struct lws_context;
struct lws_vhost;
struct ssl_ctx_st;

namespace oasync {

class Socket;

// Tasks for a loop from other threads. Outlives the loop, so that late answers find a place to be dropped.
struct LoopInbox {
  Mailbox<std::function<void()>> tasks;
  struct ev_loop* ev = nullptr;
  ev_async wake{};
  std::mutex wake_mutex;  // guards `ev` against the end of the loop
  void Post(std::function<void()> task);
};

class Loop final : public LoopPort {
 public:
  // Constructed, created and destroyed on one thread, the same for all loops; takes over the listening descriptors, of
  // which the admin's may be -1.
  Loop(ServerShared& shared, LoopCounters& counters, int listen_fd, int admin_fd);
  ~Loop() override;
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Empty, or what failed.
  std::string Create();
  // Starts the thread.
  void Start();
  // Stops accepting, closes the sockets with 1001, one after the other over `spread_ms`, and ends the thread when all
  // are gone or `deadline_ms` after that. Any thread.
  void BeginShutdown(int64_t spread_ms, int64_t deadline_ms);
  // New connections are shown this certificate from now on; those that are there keep theirs. Any thread.
  void SetTls(TlsIdentityRef identity);
  void Join();

  // -- LoopPort
  void PostFollowing(TopicState state) override;
  void PostEvents(std::vector<EventRef> events) override;
  void PostLost(const std::string& topic, uint64_t loss) override;
  // Runs a task with the hub on the loop's thread; never when the loop ends before. Any thread.
  void Post(std::function<void(Hub&)> task);
  // What is revoked from now on. Any thread.
  void PostRevocations(const std::vector<Revocation>& revocations);

  // -- for the sockets, on the loop's thread
  ServerShared& shared() { return shared_; }
  LoopCounters& counters() { return counters_; }
  struct ev_loop* ev() {
    return ev_;
  }
  Hub& hub() { return *hub_; }
  TimingWheel& wheel() { return wheel_; }
  void Add(Socket* socket);
  void Remove(Socket* socket);
  void FlushSoon(Socket* socket);
  // Runs tasks on this loop's thread; from any thread, also after the loop's end.
  Executor executor() {
    return [inbox = inbox_](std::function<void()> task) { inbox->Post(std::move(task)); };
  }

 private:
  static int Callback(lws* wsi, int reason, void* user, void* in, size_t length);
  friend struct LoopCallback;

  std::unique_ptr<Listener> MakeListener(int fd, bool is_admin);
  void Accept(int fd, const IpAddress& peer, bool is_admin);
  bool MayEnter(const IpAddress& peer, bool is_admin, ClientLimits::Place* place);
  // libwebsockets has made the context of a virtual host's connections.
  int SetUpTls(ssl_ctx_st* context, bool is_admin);
  std::string CreateHosts();
  void DrainInbox();
  void FlushSockets();
  void OnTick();
  void SendAway(int64_t now);
  void CountHandshakes();
  void EndIfEmpty();

  ServerShared& shared_;
  LoopCounters& counters_;
  std::shared_ptr<LoopInbox> inbox_;
  struct ev_loop* ev_;
  TimingWheel wheel_;
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<Listener> admin_listener_;  // of one loop only
  std::unique_ptr<Hub> hub_;
  std::mutex revoked_mutex_;
  std::vector<Revocation> revoked_;  // not yet acted upon
  lws_context* context_ = nullptr;
  lws_vhost* vhost_ = nullptr;
  lws_vhost* admin_vhost_ = nullptr;
  std::vector<ssl_ctx_st*> tls_contexts_;  // libwebsockets'
  std::vector<Socket*> sockets_;
  std::vector<Socket*> to_flush_;
  ev_timer tick_{};
  ev_prepare before_poll_{};
  ev_check after_poll_{};
  int64_t turn_began_us_ = 0;
  std::deque<std::function<void()>> due_;  // from the inbox, for the next turns
  int64_t end_at_ms_ = 0;                  // 0 until the shutdown begins
  int64_t shutdown_at_ms_ = 0;
  int64_t spread_ms_ = 0;
  size_t leaving_of_ = 0;  // sockets when the shutdown began
  size_t sent_away_ = 0;
  int64_t next_hub_tick_ms_ = 0;
  int64_t next_accept_warning_ms_ = 0;
  std::thread thread_;
};

}  // namespace oasync
