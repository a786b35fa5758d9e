// Current: the present version of something that is replaced as a whole while others use it.
#pragma once

#include <memory>
#include <mutex>
#include <utility>

namespace oasync {

// Thread-safe. Whoever has taken a version keeps it; the lock is held for the copy of a pointer only, so that readers
// on the loops never wait for the file that a new version is read from.
template <typename T>
class Current {
 public:
  Current() = default;
  explicit Current(std::shared_ptr<const T> value) : value_(std::move(value)) {}

  // Null before the first Set.
  std::shared_ptr<const T> Get() const {
    const std::lock_guard lock(mutex_);
    return value_;
  }
  void Set(std::shared_ptr<const T> value) {
    const std::lock_guard lock(mutex_);
    value_.swap(value);  // the old one is destroyed after the lock
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const T> value_;
};

}  // namespace oasync
