// ConsoleFiles: the console, read into memory once and served from there.
//
// A request names a file by a look-up among those that were read, so no path leads anywhere else. Immutable; any
// thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "net/http_message.h"

namespace oasync {

struct ConsoleLimits {
  size_t max_files = 1000;
  uint64_t max_bytes = 33554432;  // of all files together
};

// What a page of ours may load and connect to: itself only. `host` is the request's Host; a WebSocket to it is named
// in full, for not every browser takes 'self' for one.
std::string ContentSecurityPolicy(std::string_view host);

// Whether a path is a page of the console's own, which its script tells apart: no file (there is no dot in it), and
// nothing that programs ask for.
bool IsPagePath(std::string_view path);

class ConsoleFiles {
 public:
  // Every file below the directory, but those whose names begin with a dot, and links. Nothing and *error, one line,
  // when it cannot be read, has no index.html, or is beyond the limits.
  static std::optional<ConsoleFiles> Read(const std::string& directory, const ConsoleLimits& limits,
                                          std::string* error);

  // The file; index.html for its pages when a browser asks; nothing when there is neither.
  std::optional<HttpAnswer> Answer(const HttpRequest& request) const;

  size_t size() const { return files_.size(); }
  uint64_t bytes() const { return bytes_; }

 private:
  struct File {
    const char* content_type;
    const char* cache_control;
    std::shared_ptr<const std::string> bytes;
    std::shared_ptr<const std::string> compressed;  // null when that is not smaller
    std::string etag;
  };

  void Keep(std::string path, std::string bytes);
  const File* Find(const HttpRequest& request) const;

  std::map<std::string, File, std::less<>> files_;  // by path, such as "/assets/index-1a2b3c4d.js"
  uint64_t bytes_ = 0;
};

}  // namespace oasync
