// FileWatch: has a file been replaced or written to?
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <utility>

namespace oasync {

// Looks at the file's identity, size and time of change; whoever holds it asks every now and then. Links are followed,
// so a link that points elsewhere is a change (that is how Kubernetes replaces secrets).
class FileWatch {
 public:
  // An empty path never changes.
  explicit FileWatch(std::string path) : path_(std::move(path)), seen_(Look()) {}

  // Whether it differs from the last look. A file that is not there is not a change until it is again.
  bool Changed() {
    const State now = Look();
    if (!now.exists || now == seen_) return false;
    seen_ = now;
    return true;
  }

 private:
  struct State {
    bool exists = false;
    ino_t inode = 0;
    off_t size = 0;
    int64_t seconds = 0;
    int64_t nanoseconds = 0;
    bool operator==(const State&) const = default;
  };

  State Look() const {
    struct stat found {};
    if (path_.empty() || stat(path_.c_str(), &found) != 0) return {};
    return {true, found.st_ino, found.st_size, found.st_mtim.tv_sec, found.st_mtim.tv_nsec};
  }

  const std::string path_;
  State seen_;
};

}  // namespace oasync
