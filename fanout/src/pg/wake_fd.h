// WakeFd: an eventfd that makes a thread's poll(2) return.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <system_error>

namespace oasync::pg {

// Set() may be called from any thread and any number of times; the descriptor stays readable until Clear().
class WakeFd {
 public:
  WakeFd() : fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  }
  ~WakeFd() { close(fd_); }
  WakeFd(const WakeFd&) = delete;
  WakeFd& operator=(const WakeFd&) = delete;

  int fd() const { return fd_; }

  void Set() {
    const uint64_t one = 1;
    // It can only fail when the counter is full, and then the descriptor is readable anyway.
    [[maybe_unused]] const ssize_t written = write(fd_, &one, sizeof one);
  }

  void Clear() {
    uint64_t count;
    [[maybe_unused]] const ssize_t got = read(fd_, &count, sizeof count);
  }

 private:
  const int fd_;
};

}  // namespace oasync::pg
