#include "output.h"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "stop.h"

namespace oasync::terminal {

OutputState Output::Fail(int error) {
  if (error == EPIPE) return OutputState::kClosed;
  error_ = std::strerror(error);
  return OutputState::kFailed;
}

OutputState Output::Flush() {
  if (has_failed()) return OutputState::kFailed;
  size_t done = 0;
  while (done < pending_.size()) {
    const ssize_t n = write(fd_, pending_.data() + done, pending_.size() - done);
    if (n >= 0) {
      done += static_cast<size_t>(n);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      pollfd wait{fd_, POLLOUT, 0};
      poll(&wait, 1, kLookForStopMs);
      if (StopSignal() != 0) return OutputState::kClosed;
    } else if (errno == EINTR) {
      // Whoever asks to stop does not wait for a reader that does not read.
      if (StopSignal() != 0) return OutputState::kClosed;
    } else {
      return Fail(errno);
    }
  }
  pending_.clear();
  return OutputState::kOpen;
}

OutputState Output::Sync() {
  if (has_failed()) return OutputState::kFailed;
  struct stat about {};
  if (fstat(fd_, &about) != 0 || !S_ISREG(about.st_mode)) return OutputState::kOpen;
  return fdatasync(fd_) == 0 ? OutputState::kOpen : Fail(errno);
}

bool Output::ReaderIsGone() const {
  pollfd look{fd_, 0, 0};
  return poll(&look, 1, 0) == 1 && (look.revents & (POLLERR | POLLHUP)) != 0;
}

}  // namespace oasync::terminal
