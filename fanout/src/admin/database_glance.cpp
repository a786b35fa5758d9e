#include "admin/database_glance.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace oasync {
namespace {

using Json = nlohmann::json;

int64_t NumberAt(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_number_integer() ? found->get<int64_t>() : 0;
}

}  // namespace

void DatabaseGlance::Get(Callback done) {
  const int64_t now = clock_.SteadyMs();
  std::unique_lock lock(mutex_);
  if (last_ && now < fresh_until_ms_) {
    const GlanceRef fresh = last_;
    lock.unlock();
    return done(fresh);
  }
  waiters_.push_back({now + kPatienceMs, std::move(done)});
  const bool is_under_way = std::exchange(under_way_, true);
  lock.unlock();
  if (!is_under_way) Ask();
}

void DatabaseGlance::Ask() {
  const int64_t asked_ms = clock_.SteadyMs();
  database_.ReadOverview([this, asked_ms](const DocumentAnswer& answer) { OnAnswer(asked_ms, answer); });
}

void DatabaseGlance::OnAnswer(int64_t asked_ms, const DocumentAnswer& answer) {
  auto glance = std::make_shared<Glance>();
  if (answer.ok()) glance->overview = Json::parse(answer.body, nullptr, /*allow_exceptions=*/false);
  glance->reachable = glance->overview.is_object();
  if (!glance->reachable) {
    glance->overview = nullptr;
    LogDebug("database.overview_failed", "overview: {sqlstate} {error}",
             {{"sqlstate", answer.sqlstate}, {"error", answer.error}});
  }
  const int64_t now = clock_.SteadyMs();
  std::vector<Waiter> waiters;
  {
    const std::lock_guard lock(mutex_);
    if (glance->reachable) {
      // Halfway between the question and its answer.
      const int64_t then = clock_.WallMs() - (now - asked_ms) / 2;
      if (now - asked_ms <= kPromptMs) clock_ahead_ms_ = NumberAt(glance->overview, "clock") - then;
      const bool follows = reached_ms_ != 0 && now - reached_ms_ <= kApartMs;
      reached_ms_ = now;
      const auto stats = glance->overview.find("stats");
      const Json none = Json::object();
      const Json& counts = stats != glance->overview.end() && stats->is_object() ? *stats : none;
      const bool voids = NumberAt(counts, "voids_pending") > 0;
      if (!voids) voids_since_ms_ = 0;
      if (voids && (voids_since_ms_ == 0 || !follows)) voids_since_ms_ = now;
      glance->voids_pending_ms = voids ? now - voids_since_ms_ : 0;
      const int64_t evicted = NumberAt(counts, "heads_evicted");
      if (follows) heads_evicted_ += std::max<int64_t>(0, evicted - last_evicted_);  // less after a restart
      last_evicted_ = evicted;
    }
    glance->clock_ahead_ms = clock_ahead_ms_;
    glance->heads_evicted = heads_evicted_;
    under_way_ = false;
    fresh_until_ms_ = now + kFreshMs;
    last_ = glance;
    waiters.swap(waiters_);
  }
  for (const Waiter& waiter : waiters) waiter.done(glance);
}

void DatabaseGlance::Tick() {
  std::vector<Waiter> late;
  {
    const std::lock_guard lock(mutex_);
    const int64_t now = clock_.SteadyMs();
    const auto is_in_time = [now](const Waiter& waiter) { return now < waiter.until_ms; };
    const auto first_late = std::stable_partition(waiters_.begin(), waiters_.end(), is_in_time);
    std::move(first_late, waiters_.end(), std::back_inserter(late));
    waiters_.erase(first_late, waiters_.end());
  }
  if (late.empty()) return;
  const auto unknown = std::make_shared<const Glance>();
  for (const Waiter& waiter : late) waiter.done(unknown);
}

GlanceRef DatabaseGlance::last() const {
  const std::lock_guard lock(mutex_);
  return last_;
}

}  // namespace oasync
