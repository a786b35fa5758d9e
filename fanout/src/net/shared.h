// What all event loops of one server share.
#pragma once

#include <atomic>
#include <cstdint>

#include "auth/token.h"
#include "base/clock.h"
#include "config.h"
#include "hub/router.h"
#include "net/client_limits.h"
#include "net/http_router.h"
#include "net/metrics.h"
#include "net/tls.h"
#include "source.h"

namespace oasync {

// Lives from before the first loop's creation until after the last one's end. Members without a note are read only.
struct ServerShared {
  const Config& config;
  const TokenVerifier& verifier;
  const RevocationList& revocations;
  const Clock& clock;
  Source& source;
  PageCache& pages;
  Admission& admission;
  Router& router;
  MetricsSources& metrics;  // each loop writes its own counters
  const HttpRouter& http;
  ClientLimits& limits;
  TlsIdentityRef tls;                         // none: no TLS; what loops begin with
  std::atomic<uint32_t> sockets{0};           // TCP connections of the public listener, WebSockets or not
  std::atomic<uint32_t> websockets{0};        // of them
  std::atomic<uint32_t> admin_sockets{0};     // TCP connections of the admin listener
  std::atomic<uint32_t> admin_websockets{0};  // of them
  std::atomic<bool> memory_pressure{false};   // newcomers are refused
};

}  // namespace oasync
