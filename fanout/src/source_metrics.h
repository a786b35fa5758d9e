// source_metrics: what the database side, the canary and the queues to the loops count, for /metrics.
#pragma once

#include <vector>

#include "admin/overview.h"
#include "hub/canary.h"
#include "hub/router.h"
#include "net/metrics.h"
#include "pg/pg_source.h"

namespace oasync {

// For operators. Any thread.
TailFacts TailFactsOf(const PgSourceStats& stats);

// Any thread.
std::vector<MetricsSources::Extra> SourceMetrics(const PgSourceStats& stats, const Canary& canary,
                                                 const Router& router);

}  // namespace oasync
