// Output: lines to stdout, so that it is known when they have gone out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace oasync::terminal {

enum class OutputState : uint8_t {
  kOpen,
  kClosed,  // nobody reads any more: not an error, `head` does it
  kFailed,  // disk full, …: errno says
};

// Collects lines and hands them to the kernel on Flush. Not buffered by anything else: after a Flush that returned
// kOpen the lines are out of this process's hands, and Sync puts them to disk where stdout is a file. A failure stays
// one: the kernel tells only once that what it took did not reach the disk.
class Output {
 public:
  explicit Output(int fd) : fd_(fd) {}

  void Add(std::string_view line) {
    pending_ += line;
    pending_ += '\n';
  }
  void AddRaw(std::string_view text) { pending_ += text; }

  // Writes everything; waits as long as the reader does not read, or until a signal asks to stop.
  OutputState Flush();
  // fdatasync, of a regular file only.
  OutputState Sync();
  // Whether a pipe's reader has gone, seen without writing.
  bool ReaderIsGone() const;

  bool has_failed() const { return !error_.empty(); }
  // Why it failed.
  const std::string& error() const { return error_; }

 private:
  OutputState Fail(int error);

  const int fd_;
  std::string pending_;
  std::string error_;
};

}  // namespace oasync::terminal
