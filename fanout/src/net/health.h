// Health: is the process alive, and does its view of the database advance?
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "net/http_router.h"
#include "net/metrics.h"

namespace oasync {

// Whether clients should be sent here.
struct Readiness {
  bool ready = false;
  std::string reason;  // why not: one of a fixed list of words
};

struct HealthEnvironment {
  const MetricsSources& metrics;
  const Clock& clock;
  std::function<Readiness()> readiness;  // any thread
  int64_t loop_stall_ms;                 // a loop that has not turned for so long is not alive
  bool public_metrics;                   // /metrics on the public listener too
};

// Loops that have not turned for so long; those not started yet do not count. Any thread.
int StalledLoops(const MetricsSources& metrics, int64_t now_ms, int64_t stall_ms);

// Adds /healthz, /readyz and /metrics. On the admin listener the first two say why not, in JSON; on the public one only
// whether. `environment` is copied; what it refers to must outlive the router.
void AddHealthRoutes(const HealthEnvironment& environment, HttpRouter* router);

}  // namespace oasync
