#include "hub/revocation_feed.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "auth/strict_json.h"
#include "base/log.h"

namespace oasync {
namespace {

constexpr int64_t kPauseMinMs = 1000;
constexpr int64_t kPauseMaxMs = 30000;

std::optional<Revocation::Kind> KindOf(const std::string& name) {
  if (name == "session") return Revocation::Kind::kSession;
  if (name == "device") return Revocation::Kind::kDevice;
  if (name == "jti") return Revocation::Kind::kToken;
  return std::nullopt;
}

}  // namespace

std::optional<Revocation> ParseRevocation(const Event& event) {
  const nlohmann::json update = ParseStrictJson(event.json);
  if (!update.is_object() || !update.contains("payload")) return std::nullopt;
  const nlohmann::json& payload = update["payload"];
  const std::string* kind = FindText(payload, "kind");
  const std::string* value = FindText(payload, "value");
  const std::string* reason = FindText(payload, "reason");
  if (kind == nullptr || value == nullptr || reason == nullptr || !payload.contains("expires_at") ||
      !payload["expires_at"].is_number_integer() || !KindOf(*kind)) {
    return std::nullopt;
  }
  return Revocation{*KindOf(*kind), *value, *reason, payload["expires_at"].get<int64_t>()};
}

RevocationFeed::RevocationFeed(Database& database, SystemTopics& topics, RevocationList& list, const Clock& clock,
                               Notify notify)
    : database_(database), list_(list), clock_(clock), notify_(std::move(notify)) {
  topics.Watch(
      kRevocationsTopic, [this](const TopicState&) { Read(); }, [this](const Event& event) { OnEvent(event); });
}

void RevocationFeed::OnEvent(const Event& event) {
  if (const auto revocation = ParseRevocation(event)) return Take({*revocation});
  if (event.op != Op::kUpsert) return;
  // Without its payload (by a policy of the topic), or of a later version: the table has it, sooner or later.
  {
    const std::lock_guard lock(mutex_);
    doubt_ms_ = kPauseMinMs;
  }
  Read();
}

void RevocationFeed::Read() {
  {
    const std::lock_guard lock(mutex_);
    is_wanted_ = true;
    read_at_ms_ = 0;
  }
  Tick();
}

void RevocationFeed::Tick() {
  list_.Expire(NowS());
  {
    const std::lock_guard lock(mutex_);
    if (is_reading_ || !is_wanted_ || clock_.SteadyMs() < read_at_ms_) return;
    is_reading_ = true;
    is_wanted_ = false;
  }
  database_.ReadRevocations([this](const RevocationAnswer& answer) { OnAnswer(answer); });
}

void RevocationFeed::OnAnswer(const RevocationAnswer& answer) {
  if (answer.ok()) {
    Take(answer.revocations);
    list_.SetKnown();
  }
  bool is_news = false;
  bool again = false;
  {
    const std::lock_guard lock(mutex_);
    is_reading_ = false;
    is_news = !answer.ok() && std::exchange(last_error_, answer.error) != answer.error;
    if (answer.ok()) {
      last_error_.clear();
      pause_ms_ = 0;
      again = is_wanted_;  // the answer may be older than what made it so
      if (!again && doubt_ms_ != 0) {
        is_wanted_ = true;
        read_at_ms_ = clock_.SteadyMs() + doubt_ms_;
        doubt_ms_ = doubt_ms_ < kPauseMaxMs ? std::min(doubt_ms_ * 2, kPauseMaxMs) : 0;
      }
    } else {
      is_wanted_ = true;
      pause_ms_ = std::clamp(pause_ms_ * 2, kPauseMinMs, kPauseMaxMs);
      read_at_ms_ = clock_.SteadyMs() + pause_ms_;
    }
  }
  if (is_news) {
    LogWarn("revocation.unreadable",
            "revocations cannot be read, trying on (the extension has to be 0.3.0 or later, and the role needs "
            "sync_grant_reader): {error}",
            {{"error", answer.error}});
  }
  if (again) Tick();
}

void RevocationFeed::Take(const std::vector<Revocation>& revocations) {
  if (revocations.empty()) return;
  const int64_t now_s = NowS();
  for (const Revocation& revocation : revocations) list_.Add(revocation, now_s);
  notify_(revocations);
  if (list_.OverflowCount() == 0) return;
  const std::lock_guard lock(mutex_);
  if (std::exchange(overflow_said_, true)) return;
  LogError("revocation.too_many",
           "there are more revocations than --max-revocations: those that end first are not kept");
}

}  // namespace oasync
