// RevocationList: what of tokens no longer counts, although their signatures and times are good.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "auth/grant.h"
#include "database.h"

namespace oasync {

// Why somebody has to authenticate anew, as in sync:error reauth_required. A fixed list: others become kAdminRevoked.
enum class RevocationReason : uint8_t {
  kUserRequested,
  kAdminRevoked,
  kTokenReplay,
  kDeviceReplaced,
  kSecurityPolicy,
};
const char* RevocationReasonName(RevocationReason reason);
std::optional<RevocationReason> FindRevocationReason(std::string_view name);

// The database's list, kept by every server. Thread-safe: many look, the tail's thread adds.
class RevocationList {
 public:
  // `max_entries` bounds its memory (some 200 bytes each).
  explicit RevocationList(size_t max_entries) : max_entries_(max_entries) {}

  // Takes it in, or a later end of what is there already. When the list is full, the one that ends first has to go,
  // and OverflowCount() grows: somebody who was revoked may be let in again.
  void Add(const Revocation& revocation, int64_t now_unix_s);
  // Forgets what has ended. To be called now and then.
  void Expire(int64_t now_unix_s);

  // Why a token with these claims is refused; nothing when it is not.
  std::optional<RevocationReason> Find(std::string_view session_id, std::string_view device_id,
                                       std::string_view token_id, int64_t now_unix_s) const;
  std::optional<RevocationReason> Find(const Grant& grant, int64_t now_unix_s) const {
    return Find(grant.session_id, grant.device_id, grant.token_id, now_unix_s);
  }

  // Whether the database's list was read since the start.
  bool IsKnown() const { return is_known_.load(std::memory_order_acquire); }
  void SetKnown() { is_known_.store(true, std::memory_order_release); }

  size_t size() const;
  uint64_t OverflowCount() const { return overflows_.load(std::memory_order_relaxed); }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  struct Entry {
    RevocationReason reason;
    int64_t expires_at_s;  // of "never", the end of time
  };
  using Entries = std::unordered_map<std::string, Entry, Hash, std::equal_to<>>;
  using Ends = std::multimap<int64_t, std::pair<Revocation::Kind, std::string>>;

  Entries& Of(Revocation::Kind kind) { return entries_[static_cast<size_t>(kind)]; }
  std::optional<RevocationReason> FindIn(Revocation::Kind kind, std::string_view value, int64_t now_unix_s) const;
  void RemoveEnd(int64_t expires_at_s, Revocation::Kind kind, const std::string& value);
  void EraseFirst();

  const size_t max_entries_;
  mutable std::shared_mutex mutex_;
  std::array<Entries, 3> entries_;  // by Revocation::Kind
  Ends ends_;                       // the same ones, by their end
  std::atomic<bool> is_known_{false};
  std::atomic<uint64_t> overflows_{0};
};

}  // namespace oasync
