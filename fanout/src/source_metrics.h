// source_metrics: what the database side, the canary and the queues to the loops count, for /metrics.
#pragma once

#include <vector>

#include "hub/canary.h"
#include "hub/router.h"
#include "net/metrics.h"
#include "pg/pg_source.h"

namespace oasync {

// Any thread.
std::vector<MetricsSources::Extra> SourceMetrics(const PgSourceStats& stats, const Canary& canary,
                                                 const Router& router);

}  // namespace oasync
