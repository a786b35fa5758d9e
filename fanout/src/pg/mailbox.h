// Mailbox: what other threads want done on the tail thread.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "wake_fd.h"

namespace oasync::pg {

using Task = std::function<void()>;

class Mailbox {
 public:
  // Any thread. Tasks posted after Close() are dropped.
  void Post(Task task) {
    {
      const std::lock_guard lock(mutex_);
      if (closed_) return;
      tasks_.push_back(std::move(task));
      if (tasks_.size() > 1) return;  // it has been woken for the first one
    }
    wake_.Set();
  }

  // The owner's thread: everything posted so far, in order.
  std::vector<Task> Take() {
    wake_.Clear();
    const std::lock_guard lock(mutex_);
    return std::exchange(tasks_, {});
  }

  void Close() {
    std::vector<Task> dropped;
    const std::lock_guard lock(mutex_);
    closed_ = true;
    dropped.swap(tasks_);
  }

  int fd() const { return wake_.fd(); }
  void Wake() { wake_.Set(); }

 private:
  WakeFd wake_;
  std::mutex mutex_;
  std::vector<Task> tasks_;
  bool closed_ = false;
};

}  // namespace oasync::pg
