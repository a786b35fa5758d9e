// Metrics: the counters under their public names. docs/operations/metrics.md explains each.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/counters.h"
#include "hub/admission.h"
#include "hub/page_cache.h"
#include "hub/router.h"
#include "settings.h"

namespace oasync {

struct MetricsSources {
  std::vector<std::unique_ptr<LoopCounters>> loops;
  SharedCounters shared;
  const Router* router = nullptr;
  const PageCache* pages = nullptr;
  const Admission* admission = nullptr;
  // The database side's own counters, as (name without the prefix, help, is a gauge, value, label if any). Those of one
  // name follow each other.
  struct Extra {
    std::string name;
    std::string help;
    bool gauge;
    double value;
    const char* label = nullptr;
    std::string label_value{};
  };
  std::function<std::vector<Extra>()> extras;
  // A lane of the parity auditor: how many documents came to which outcome, and how old its newest audit is.
  struct ParityLane {
    std::string name;
    std::vector<std::pair<const char*, double>> checks;
    double audit_age_s = -1;  // -1: none yet
  };
  std::function<std::vector<ParityLane>()> parity;  // may be empty
  std::atomic<int64_t> tls_expires_s{0};            // Unix seconds; 0 without TLS
  const std::vector<Setting>* settings = nullptr;   // in effect
  // Microseconds since the tail last heard from the database; negative when it never did.
  std::function<int64_t()> tail_silence_us;
};

// The Prometheus text of everything, summed over the loops. Any thread.
std::string RenderMetrics(const MetricsSources& sources);

}  // namespace oasync
