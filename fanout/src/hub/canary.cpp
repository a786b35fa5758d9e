#include "hub/canary.h"

#include <algorithm>
#include <string_view>

#include "base/log.h"

namespace oasync {
namespace {

// How soon the first one is asked for again while none came: that of another fan-out, sent a moment before its topic
// was followed here, keeps the database from sending ours for a second.
constexpr int64_t kFirstRetryMs = 500;

// undefined_function, insufficient_privilege, read_only_sql_transaction: it will not work the next time either.
bool CannotBeSent(std::string_view sqlstate) {
  return sqlstate == "42883" || sqlstate == "42501" || sqlstate == "25006";
}

}  // namespace

Canary::Canary(const CanaryOptions& options, Database& database, SystemTopics& topics, const Clock& clock)
    : options_(options), database_(database), clock_(clock) {
  if (options_.interval_ms == 0) return;
  topics.Watch(
      kCanaryTopic, [this](const TopicState&) { following_.store(true, std::memory_order_relaxed); },
      [this](const Event& event) { OnEvent(event); });
}

void Canary::Tick() {
  // One that is sent before its topic is followed may be missed.
  if (options_.interval_ms == 0 || !following_.load(std::memory_order_relaxed) || under_way_.load()) return;
  const int64_t now = clock_.SteadyMs();
  const int64_t last = last_ms_.load(std::memory_order_relaxed);
  if (now < std::max(next_ms_, last < 0 ? 0 : last + options_.interval_ms)) return;
  const bool cannot = unavailable_.load(std::memory_order_relaxed);
  next_ms_ = now + (last < 0 && !cannot ? std::min(kFirstRetryMs, options_.interval_ms) : options_.interval_ms);
  under_way_ = true;
  database_.EmitCanary([this](const DatabaseError& answer) { OnSent(answer); });
}

void Canary::OnSent(const DatabaseError& answer) {
  if (!answer.ok()) failures_.fetch_add(1, std::memory_order_relaxed);
  const bool cannot = CannotBeSent(answer.sqlstate);
  // No answer says nothing: it stays as it was.
  if (answer.ok() || cannot) {
    if (unavailable_.exchange(cannot) != cannot) {
      if (cannot) {
        LogWarn("canary.cannot_be_sent",
                "canary: none can be sent ({error}); readiness is judged by the tail's silence",
                {{"error", answer.error}});
      } else {
        LogInfo("canary.sent_again", "canary: can be sent again");
      }
    }
  }
  under_way_ = false;
}

void Canary::OnEvent(const Event& event) {
  const int64_t since = event.commit_time_us != 0 ? event.commit_time_us : event.inserted_at_us;
  latency_us_.store(std::max<int64_t>(0, clock_.WallMicros() - since), std::memory_order_relaxed);
  last_ms_.store(clock_.SteadyMs(), std::memory_order_relaxed);
  received_.fetch_add(1, std::memory_order_relaxed);
}

int64_t Canary::age_ms() const {
  const int64_t last = last_ms_.load(std::memory_order_relaxed);
  return last < 0 ? -1 : std::max<int64_t>(0, clock_.SteadyMs() - last);
}

Canary::Progress Canary::progress() const {
  if (options_.interval_ms == 0 || unavailable_.load(std::memory_order_relaxed)) return Progress::kUnknown;
  const int64_t age = age_ms();
  return age >= 0 && age <= options_.ready_within_ms ? Progress::kGood : Progress::kNone;
}

}  // namespace oasync
