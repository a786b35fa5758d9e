// Metrics: the counters under their public names. docs/operations/metrics.md explains each.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/counters.h"
#include "hub/router.h"
#include "settings.h"

namespace oasync {

struct MetricsSources {
  std::vector<std::unique_ptr<LoopCounters>> loops;
  SharedCounters shared;
  const Router* router = nullptr;
  // The database side's own counters, as (name without the prefix, help, is a gauge, value).
  struct Extra {
    std::string name;
    std::string help;
    bool gauge;
    double value;
  };
  std::function<std::vector<Extra>()> extras;
  const std::vector<Setting>* settings = nullptr;  // in effect
  // Microseconds since the tail last heard from the database; negative when it never did.
  std::function<int64_t()> tail_silence_us;
};

// The Prometheus text of everything, summed over the loops. Any thread.
std::string RenderMetrics(const MetricsSources& sources);

}  // namespace oasync
