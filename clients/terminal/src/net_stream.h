// NetStream: a TCP connection, with TLS where the endpoint asks for it, that never waits past its deadline.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "endpoint.h"
#include "tls_context.h"

struct addrinfo;
struct ssl_st;

namespace oasync::terminal {

enum class NetFault : uint8_t { kNone, kCannotConnect, kTls, kTimeout, kClosed, kStopped, kNonsense };

// One thread's. Not to be used after a fault.
class NetStream {
 public:
  NetStream();
  ~NetStream();
  NetStream(const NetStream&) = delete;
  NetStream& operator=(const NetStream&) = delete;

  // Tries every address of the host in turn. The deadline is for this and everything that follows.
  NetFault Connect(const Endpoint& endpoint, const TlsOptions& tls, int timeout_ms);
  NetFault Write(std::string_view data);
  // Appends what has come to *data; kClosed at the end of the stream.
  NetFault Read(std::string* data);

  // Unix time at which the server's certificate expires; 0 without TLS.
  int64_t CertificateExpiry() const;
  // Why it went wrong, in words.
  const std::string& error() const { return error_; }

 private:
  NetFault Fail(NetFault fault, std::string why);
  NetFault ConnectTo(const addrinfo& address);
  NetFault StartTls(const Endpoint& endpoint, const TlsOptions& tls);
  NetFault WaitFor(short events);
  NetFault AfterTlsCall(int result);

  int fd_ = -1;
  int64_t deadline_ms_ = 0;
  TlsContext context_;
  std::unique_ptr<ssl_st, void (*)(ssl_st*)> tls_;
  std::string error_;
};

}  // namespace oasync::terminal
