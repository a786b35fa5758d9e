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
  // Constructed, created and destroyed on one thread, the same for all loops; takes over the listening descriptor.
  Loop(ServerShared& shared, LoopCounters& counters, int listen_fd);
  ~Loop() override;
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Empty, or what failed.
  std::string Create();
  // Starts the thread.
  void Start();
  // Stops accepting, closes every socket with 1001 and ends the thread when all are gone or the deadline is over.
  // Any thread.
  void BeginShutdown(int64_t deadline_ms);
  void Join();

  // -- LoopPort
  void PostFollowing(TopicState state) override;
  void PostEvents(std::vector<EventRef> events) override;
  // What is revoked from now on. Any thread.
  void PostRevocations(const std::vector<Revocation>& revocations);

  // -- for the sockets, on the loop's thread
  ServerShared& shared() { return shared_; }
  LoopCounters& counters() { return counters_; }
  Hub& hub() { return *hub_; }
  TimingWheel& wheel() { return wheel_; }
  void Add(Socket* socket);
  void Remove(Socket* socket);
  void FlushSoon(Socket* socket);

 private:
  static int Callback(lws* wsi, int reason, void* user, void* in, size_t length);
  friend struct LoopCallback;

  void Accept(int fd);
  void DrainInbox();
  void FlushSockets();
  void OnTick();
  void EndIfEmpty();

  ServerShared& shared_;
  LoopCounters& counters_;
  std::shared_ptr<LoopInbox> inbox_;
  struct ev_loop* ev_;
  TimingWheel wheel_;
  std::unique_ptr<Listener> listener_;
  std::unique_ptr<Hub> hub_;
  std::mutex revoked_mutex_;
  std::vector<Revocation> revoked_;  // not yet acted upon
  lws_context* context_ = nullptr;
  lws_vhost* vhost_ = nullptr;
  std::vector<Socket*> sockets_;
  std::vector<Socket*> to_flush_;
  ev_timer tick_{};
  ev_prepare before_poll_{};
  int64_t end_at_ms_ = 0;  // 0 until the shutdown begins
  int64_t next_hub_tick_ms_ = 0;
  std::thread thread_;
};

}  // namespace oasync
