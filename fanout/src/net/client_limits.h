// ClientLimits: how much one address and one subject may have at a time, over all loops.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/token_bucket.h"
#include "net/address.h"

namespace oasync {

struct ClientLimitOptions {
  uint32_t connections_per_address = 0;  // 0: no limit
  uint32_t connections_per_subject = 0;  // WebSockets; 0: no limit
  uint32_t requests_per_second = 50;     // HTTP requests of one address, twice as many at once
  size_t max_addresses = 65536;          // whose requests are counted apart; the others share one account
};

// Thread-safe. Must outlive the places it gave.
class ClientLimits {
 public:
  explicit ClientLimits(ClientLimitOptions options) : options_(options) {}

  // One connection's place; given back when it is destroyed. Movable.
  class Place {
   public:
    Place() = default;
    explicit Place(std::function<void()> leave) : leave_(std::move(leave)) {}
    Place(Place&& other) noexcept : leave_(std::exchange(other.leave_, nullptr)) {}
    Place& operator=(Place&& other) noexcept {
      std::swap(leave_, other.leave_);
      return *this;
    }
    ~Place() {
      if (leave_) leave_();
    }

   private:
    std::function<void()> leave_;
  };

  // False when the address or the subject has as many as it may; *place is set otherwise. Without a limit nothing is
  // counted.
  bool EnterAddress(const IpAddress& address, Place* place) {
    return Enter(&by_address_, address.LimitKey(), options_.connections_per_address, place);
  }
  bool EnterSubject(const std::string& subject, Place* place) {
    return Enter(&by_subject_, subject, options_.connections_per_subject, place);
  }

  // Takes one request from the address's account. 0, or the milliseconds after which there is one again.
  int64_t TakeRequest(const IpAddress& address, int64_t now_ms);

 private:
  template <typename Key>
  bool Enter(std::unordered_map<Key, uint32_t>* counts, const Key& key, uint32_t limit, Place* place) {
    if (limit == 0) return true;
    const std::lock_guard lock(mutex_);
    uint32_t& count = (*counts)[key];
    if (count >= limit) return false;
    ++count;
    *place = Place([this, counts, key] {
      const std::lock_guard leaving(mutex_);
      const auto it = counts->find(key);
      if (--it->second == 0) counts->erase(it);
    });
    return true;
  }

  const ClientLimitOptions options_;
  std::mutex mutex_;
  std::unordered_map<IpAddress, uint32_t> by_address_;
  std::unordered_map<std::string, uint32_t> by_subject_;
  std::unordered_map<IpAddress, TokenBucket> requests_;
  int64_t forget_at_ms_ = 0;
};

}  // namespace oasync
