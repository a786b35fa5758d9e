#include "hub/admission.h"

#include <algorithm>
#include <random>

namespace oasync {
namespace {

// Nobody is sent away for longer: who does not come back would make the others wait for nothing.
constexpr double kMostRetryMs = 30000;
// What a replay is taken to last when the time to wait for one is reckoned.
constexpr double kReplayMs = 1000;

double Fraction() {
  static thread_local std::minstd_rand generator{std::random_device{}()};
  return std::uniform_real_distribution<double>(0, 1)(generator);
}

}  // namespace

int64_t RetrySpread::Next(int64_t now_ms, double spacing_ms) {
  const auto now = static_cast<double>(now_ms);
  last_ms_ = std::max(last_ms_, now) + spacing_ms;
  double wait = last_ms_ - now;
  if (wait > kMostRetryMs) {
    last_ms_ = now + kMostRetryMs;
    wait = kMostRetryMs * (0.5 + Fraction() / 2);
  }
  return std::max<int64_t>(1, static_cast<int64_t>(wait));
}

void ReplayPlace::Release() {
  if (released_) return;
  released_ = true;
  admission_.replays_.fetch_sub(1, std::memory_order_relaxed);
}

Admission::Admission(const AdmissionOptions& options, int64_t now_ms)
    : options_(options), joins_(options.joins_per_second, options.joins_per_second, now_ms) {}

int64_t Admission::AdmitJoin(int64_t now_ms) {
  if (options_.joins_per_second == 0) return 0;
  const std::lock_guard lock(mutex_);
  if (joins_.Take(now_ms)) return 0;
  return join_retries_.Next(now_ms, 1000.0 / options_.joins_per_second);
}

ReplayPlaceRef Admission::AdmitReplay(int64_t now_ms, int64_t* retry_after_ms) {
  const uint32_t before = replays_.fetch_add(1, std::memory_order_relaxed);
  if (options_.max_replays == 0 || before < options_.max_replays) return std::make_shared<ReplayPlace>(*this, now_ms);
  replays_.fetch_sub(1, std::memory_order_relaxed);
  const std::lock_guard lock(mutex_);
  *retry_after_ms = replay_retries_.Next(now_ms, kReplayMs / options_.max_replays);
  return nullptr;
}

bool Admission::TakeTopic() {
  const uint32_t before = topics_.fetch_add(1, std::memory_order_relaxed);
  if (options_.max_topics == 0 || before < options_.max_topics) return true;
  ReleaseTopic();
  return false;
}

}  // namespace oasync
