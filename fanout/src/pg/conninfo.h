// Conninfo: a parsed libpq connection string with the defaults that a long-lived, self-healing connection needs.
//
// Nothing here logs or returns a password: errors name the problem, not the string.
#pragma once

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
  // application_name); client_encoding is always UTF8. `replication`: as a logical walsender connection.
  std::vector<std::pair<std::string, std::string>> Parameters(const std::string& application_name,
                                                              bool replication) const;

  // Milliseconds that one attempt may take in all.
  int connect_timeout_ms() const { return connect_timeout_ms_; }

  // Moves the first host to the end of the list. libpq goes on to the next host by itself after a refusal, but
  // not, when it connects without blocking, after a silence; call this then.
  void RotateHosts();

 private:
  std::string* Find(const std::string& keyword);

  std::vector<std::pair<std::string, std::string>> given_;
  int connect_timeout_ms_ = 5000;
};

}  // namespace oasync::pg
