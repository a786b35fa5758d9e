// Housekeeping: waits for the signal to stop; meanwhile looks after what is not the loops' to do.
#pragma once

#include <csignal>
#include <memory>
#include <vector>

#include "auth/authentication.h"
#include "base/file_watch.h"
#include "base/service_manager.h"
#include "config.h"
#include "hub/revocation_feed.h"
#include "net/loop.h"
#include "net/shared.h"

namespace oasync {

// Those that Housekeeping waits for: SIGTERM and SIGINT to stop, SIGHUP to read files again. To be blocked in every
// thread before the first is made.
sigset_t HandledSignals();

// Once a second: the certificate and the key files when they have changed, the process's memory, what is left to do of
// revocations, and, while every loop turns, a word to the service manager. Every reference must outlive it. One thread.
class Housekeeping {
 public:
  Housekeeping(const Config& config, ServerShared& shared, Authentication& auth, RevocationFeed& revocations,
               const std::vector<std::unique_ptr<Loop>>& loops, const ServiceManager& service_manager)
      : config_(config),
        shared_(shared),
        auth_(auth),
        revocations_(revocations),
        loops_(loops),
        service_manager_(service_manager),
        certificate_(config.tls_certificate),
        key_(config.tls_key) {}

  // The signal that ends it.
  int Run();

 private:
  void ReloadTls();
  void CheckMemory();
  // As long as /healthz is well.
  void TellAlive();

  const Config& config_;
  ServerShared& shared_;
  Authentication& auth_;
  RevocationFeed& revocations_;
  const std::vector<std::unique_ptr<Loop>>& loops_;
  const ServiceManager& service_manager_;
  FileWatch certificate_;
  FileWatch key_;
};

}  // namespace oasync
