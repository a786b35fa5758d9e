// Conninfo: a parsed libpq connection string with the defaults that a long-lived, self-healing connection needs.
//
// Nothing here logs or returns a password: errors name the problem, not the string.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace oasync::pg {

class Conninfo {
 public:
  // Parses a connection string or URI; nothing is resolved or connected. Sets *error (empty on success) to a line
  // without secrets. On failure every use of the object fails to connect.
  static Conninfo Parse(const std::string& text, std::string* error);

  // Keywords for PQconnectStartParams. What the user gave wins over the defaults (keepalives, tcp_user_timeout,
  // application_name); client_encoding is always UTF8. `replication`: as a logical walsender connection. The hosts
  // are in the order that this object's and its copies' RotateHosts() left.
  std::vector<std::pair<std::string, std::string>> Parameters(const std::string& application_name,
                                                              bool replication) const;

  // Milliseconds that one attempt may take in all.
  int connect_timeout_ms() const { return connect_timeout_ms_; }

  // Moves the first host to the end of the list, for this object and all its copies, unless one of them has done so
  // since this one's last Parameters(). libpq goes on to the next host by itself after a refusal, but not, when it
  // connects without blocking, after a silence, nor away from a former primary; call this then. Copies may be used by
  // different threads.
  void RotateHosts();

 private:
  std::string* Find(const std::string& keyword);

  std::vector<std::pair<std::string, std::string>> given_;
  std::shared_ptr<std::atomic<unsigned>> rotations_ = std::make_shared<std::atomic<unsigned>>(0);
  mutable unsigned rotations_used_ = 0;  // by the last Parameters()
  int connect_timeout_ms_ = 5000;
};

}  // namespace oasync::pg
