// CursorFile: where a follower stands, on disk, so that the next one goes on from there.
//
//   {"version":1,"cursors":[{"topic":"run:42:events","epoch":1795377600000000,"watermark":41}]}
//
// It is replaced as a whole (written beside it, fsync, rename, fsync of the directory): a reader sees the old file or
// the new one. One process at a time: an flock on FILE.lock, which stays behind, as its removal could race.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "follower.h"

namespace oasync::terminal {

class CursorFile {
 public:
  using Cursors = std::map<std::string, Cursor>;

  CursorFile() = default;
  ~CursorFile();
  CursorFile(const CursorFile&) = delete;
  CursorFile& operator=(const CursorFile&) = delete;

  // Takes the lock and reads the file; a missing file is an empty one. Empty when that worked, else why not. A file
  // that is no cursor file is an error: to begin anew, remove it.
  std::string Open(const std::string& path);
  const Cursors& cursors() const { return cursors_; }

  // Notes a topic's cursor; Save writes it.
  void Set(const std::string& topic, const Cursor& cursor);
  bool has_changed() const { return changed_; }
  // Empty when everything is on disk, else why not.
  std::string Save();

  static std::optional<Cursors> Parse(const std::string& text);
  static std::string Format(const Cursors& cursors);

 private:
  std::string path_;
  int lock_ = -1;
  Cursors cursors_;
  bool changed_ = false;
};

}  // namespace oasync::terminal
