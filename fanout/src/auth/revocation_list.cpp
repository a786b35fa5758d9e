#include "auth/revocation_list.h"

#include <iterator>
#include <limits>

namespace oasync {
namespace {

constexpr const char* kReasons[] = {"user_requested", "admin_revoked", "token_replay", "device_replaced",
                                    "security_policy"};
constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

}  // namespace

const char* RevocationReasonName(RevocationReason reason) { return kReasons[static_cast<size_t>(reason)]; }

std::optional<RevocationReason> FindRevocationReason(std::string_view name) {
  for (size_t i = 0; i < std::size(kReasons); ++i) {
    if (name == kReasons[i]) return static_cast<RevocationReason>(i);
  }
  return std::nullopt;
}

void RevocationList::Add(const Revocation& revocation, int64_t now_unix_s) {
  const int64_t end = revocation.expires_at_s == 0 ? kNever : revocation.expires_at_s;
  if (end <= now_unix_s || revocation.value.empty()) return;
  const RevocationReason reason = FindRevocationReason(revocation.reason).value_or(RevocationReason::kAdminRevoked);
  const std::lock_guard lock(mutex_);
  const auto [it, is_new] = Of(revocation.kind).try_emplace(revocation.value, Entry{reason, end});
  if (!is_new) {
    if (end <= it->second.expires_at_s) return;
    RemoveEnd(it->second.expires_at_s, revocation.kind, revocation.value);
    it->second = {reason, end};
  }
  ends_.emplace(end, std::pair(revocation.kind, revocation.value));
  while (!ends_.empty() && ends_.begin()->first <= now_unix_s) EraseFirst();
  if (ends_.size() <= max_entries_) return;
  EraseFirst();
  overflows_.fetch_add(1, std::memory_order_relaxed);
}

void RevocationList::Expire(int64_t now_unix_s) {
  const std::lock_guard lock(mutex_);
  while (!ends_.empty() && ends_.begin()->first <= now_unix_s) EraseFirst();
}

void RevocationList::EraseFirst() {
  const auto& [kind, value] = ends_.begin()->second;
  Of(kind).erase(value);
  ends_.erase(ends_.begin());
}

void RevocationList::RemoveEnd(int64_t expires_at_s, Revocation::Kind kind, const std::string& value) {
  const auto [first, last] = ends_.equal_range(expires_at_s);
  for (auto it = first; it != last; ++it) {
    if (it->second.first != kind || it->second.second != value) continue;
    ends_.erase(it);
    return;
  }
}

std::optional<RevocationReason> RevocationList::FindIn(Revocation::Kind kind, std::string_view value,
                                                       int64_t now_unix_s) const {
  const Entries& entries = entries_[static_cast<size_t>(kind)];
  if (value.empty() || entries.empty()) return std::nullopt;
  const auto it = entries.find(value);
  if (it == entries.end() || it->second.expires_at_s <= now_unix_s) return std::nullopt;
  return it->second.reason;
}

std::optional<RevocationReason> RevocationList::Find(std::string_view session_id, std::string_view device_id,
                                                     std::string_view token_id, int64_t now_unix_s) const {
  const std::shared_lock lock(mutex_);
  auto found = FindIn(Revocation::Kind::kSession, session_id, now_unix_s);
  if (!found) found = FindIn(Revocation::Kind::kDevice, device_id, now_unix_s);
  if (!found) found = FindIn(Revocation::Kind::kToken, token_id, now_unix_s);
  return found;
}

size_t RevocationList::size() const {
  const std::shared_lock lock(mutex_);
  return ends_.size();
}

}  // namespace oasync
