// What all event loops of one server share.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

#include "auth/token.h"
#include "base/clock.h"
#include "config.h"
#include "hub/router.h"
#include "net/metrics.h"
#include "source.h"

namespace oasync {

// Lives from before the first loop's creation until after the last one's end. Members without a note are read only.
struct ServerShared {
  const Config& config;
  const TokenVerifier& verifier;
  const RevocationList& revocations;
  const Clock& clock;
  Source& source;
  Router& router;
  MetricsSources& metrics;           // each loop writes its own counters
  std::function<bool()> ready;       // any thread
  std::atomic<uint32_t> sockets{0};  // TCP connections, WebSockets or not
  std::atomic<uint32_t> websockets{0};
};

}  // namespace oasync
