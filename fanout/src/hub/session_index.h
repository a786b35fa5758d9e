// SessionIndex: the sessions of one loop, by what of their tokens can be revoked.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "auth/grant.h"
#include "database.h"

namespace oasync {

class Session;

// A revocation concerns few of very many sessions. Hashes of the claims lie one after the other, so that looking
// through 20 000 sessions takes 0.2 ms and touches none of them; a hash map by claim would cost every
// session three nodes for something that is rare. One thread.
class SessionIndex {
 public:
  // The session's place. Remove moves another one there.
  uint32_t Add(Session* session, const Grant& grant) {
    entries_.push_back({session, HashesOf(grant)});
    return static_cast<uint32_t>(entries_.size() - 1);
  }
  // The session that is at `place` from now on; null when none is.
  Session* Remove(uint32_t place) {
    entries_[place] = entries_.back();
    entries_.pop_back();
    return place < entries_.size() ? entries_[place].session : nullptr;
  }
  // The session has another token.
  void Update(uint32_t place, const Grant& grant) { entries_[place].hashes = HashesOf(grant); }

  // Sessions that one of them may concern; to be compared in full.
  std::vector<Session*> Find(const std::vector<Revocation>& revocations) const {
    std::array<std::vector<uint32_t>, 3> wanted;
    for (const Revocation& revocation : revocations) {
      wanted[static_cast<size_t>(revocation.kind)].push_back(HashOf(revocation.value));
    }
    for (auto& hashes : wanted) std::sort(hashes.begin(), hashes.end());
    std::vector<Session*> found;
    for (const Entry& entry : entries_) {
      bool matches = false;
      for (size_t kind = 0; kind < wanted.size() && !matches; ++kind) {
        matches = std::binary_search(wanted[kind].begin(), wanted[kind].end(), entry.hashes[kind]);
      }
      if (matches) found.push_back(entry.session);
    }
    return found;
  }
  // Until `look` returns false.
  template <typename Look>
  void ForEach(Look look) const {
    for (const Entry& entry : entries_) {
      if (!look(*entry.session)) return;
    }
  }
  size_t size() const { return entries_.size(); }

 private:
  using Hashes = std::array<uint32_t, 3>;  // by Revocation::Kind
  struct Entry {
    Session* session;
    Hashes hashes;
  };

  static uint32_t HashOf(std::string_view text) { return static_cast<uint32_t>(std::hash<std::string_view>()(text)); }
  static Hashes HashesOf(const Grant& grant) {
    return {HashOf(grant.session_id), HashOf(grant.device_id), HashOf(grant.token_id)};
  }

  std::vector<Entry> entries_;
};

}  // namespace oasync
