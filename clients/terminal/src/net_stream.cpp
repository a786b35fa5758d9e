#include "net_stream.h"

#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <ctime>

#include "base/clock.h"
#include "stop.h"

namespace oasync::terminal {
namespace {

constexpr size_t kReadBytes = 65536;

int64_t NowMs() { return SystemClock().SteadyMs(); }

std::string TlsError() {
  const unsigned long code = ERR_peek_last_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  return reason == nullptr ? "the connection was closed" : reason;
}

}  // namespace

NetStream::NetStream() : context_(nullptr, &SSL_CTX_free), tls_(nullptr, &SSL_free) {}

NetStream::~NetStream() {
  tls_.reset();
  if (fd_ >= 0) close(fd_);
}

NetFault NetStream::Fail(NetFault fault, std::string why) {
  error_ = std::move(why);
  return fault;
}

NetFault NetStream::WaitFor(short events) {
  for (;;) {
    if (StopSignal() != 0) return Fail(NetFault::kStopped, "interrupted");
    const int64_t left = deadline_ms_ - NowMs();
    if (left <= 0) return Fail(NetFault::kTimeout, "no answer in time");
    pollfd wait{fd_, events, 0};
    const int n = poll(&wait, 1, static_cast<int>(std::min<int64_t>(left, kLookForStopMs)));
    if (n > 0) return NetFault::kNone;
    if (n < 0 && errno != EINTR) return Fail(NetFault::kClosed, std::strerror(errno));
  }
}

NetFault NetStream::ConnectTo(const addrinfo& address) {
  if (fd_ >= 0) close(fd_);
  fd_ = socket(address.ai_family, address.ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, address.ai_protocol);
  if (fd_ < 0) return Fail(NetFault::kCannotConnect, std::strerror(errno));
  const int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  if (connect(fd_, address.ai_addr, address.ai_addrlen) == 0) return NetFault::kNone;
  if (errno != EINPROGRESS) return Fail(NetFault::kCannotConnect, std::strerror(errno));
  if (const NetFault fault = WaitFor(POLLOUT); fault != NetFault::kNone) return fault;
  int error = 0;
  socklen_t size = sizeof(error);
  getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
  return error == 0 ? NetFault::kNone : Fail(NetFault::kCannotConnect, std::strerror(error));
}

NetFault NetStream::Connect(const Endpoint& endpoint, const TlsOptions& tls, int timeout_ms) {
  deadline_ms_ = NowMs() + timeout_ms;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(endpoint.host.c_str(), std::to_string(endpoint.port).c_str(), &hints, &found);
  if (error != 0) return Fail(NetFault::kCannotConnect, gai_strerror(error));
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses(found, &freeaddrinfo);
  NetFault fault = NetFault::kCannotConnect;
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    fault = ConnectTo(*address);
    if (fault == NetFault::kNone || fault == NetFault::kStopped) break;
  }
  if (fault == NetFault::kTimeout) return Fail(NetFault::kCannotConnect, error_);
  if (fault != NetFault::kNone) return fault;
  return endpoint.tls ? StartTls(endpoint, tls) : NetFault::kNone;
}

NetFault NetStream::StartTls(const Endpoint& endpoint, const TlsOptions& tls) {
  context_ = MakeTlsContext(endpoint, tls, &error_);
  if (!context_) return NetFault::kTls;
  tls_.reset(SSL_new(context_.get()));
  if (!tls_) return Fail(NetFault::kTls, TlsError());
  if (!IsAddress(endpoint.host)) {
    SSL_set_hostflags(tls_.get(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    SSL_set1_host(tls_.get(), endpoint.host.c_str());
    SSL_set_tlsext_host_name(tls_.get(), endpoint.host.c_str());
  }
  SSL_set_fd(tls_.get(), fd_);
  for (;;) {
    const int result = SSL_connect(tls_.get());
    if (result == 1) return NetFault::kNone;
    const NetFault fault = AfterTlsCall(result);
    if (fault == NetFault::kNone) continue;
    const long verdict = SSL_get_verify_result(tls_.get());
    if (verdict != X509_V_OK) error_ = X509_verify_cert_error_string(verdict);
    return fault == NetFault::kStopped || fault == NetFault::kTimeout ? fault : Fail(NetFault::kTls, "TLS: " + error_);
  }
}

// After a call that did not do its work: waits for what it needs.
NetFault NetStream::AfterTlsCall(int result) {
  switch (SSL_get_error(tls_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return WaitFor(POLLIN);
    case SSL_ERROR_WANT_WRITE:
      return WaitFor(POLLOUT);
    case SSL_ERROR_ZERO_RETURN:
      return Fail(NetFault::kClosed, "the connection was closed");
    default:
      return Fail(NetFault::kClosed, TlsError());
  }
}

NetFault NetStream::Write(std::string_view data) {
  while (!data.empty()) {
    const int size = static_cast<int>(std::min<size_t>(data.size(), INT_MAX));
    const ssize_t n =
        tls_ ? SSL_write(tls_.get(), data.data(), size) : send(fd_, data.data(), data.size(), MSG_NOSIGNAL);
    if (n > 0) {
      data.remove_prefix(static_cast<size_t>(n));
      continue;
    }
    NetFault fault = NetFault::kNone;
    if (tls_) {
      fault = AfterTlsCall(static_cast<int>(n));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
      fault = WaitFor(POLLOUT);
    } else {
      fault = Fail(NetFault::kClosed, std::strerror(errno));
    }
    if (fault != NetFault::kNone) return fault;
  }
  return NetFault::kNone;
}

NetFault NetStream::Read(std::string* data) {
  const size_t before = data->size();
  data->resize(before + kReadBytes);
  for (;;) {
    const ssize_t n = tls_ ? SSL_read(tls_.get(), data->data() + before, static_cast<int>(kReadBytes))
                           : recv(fd_, data->data() + before, kReadBytes, 0);
    if (n > 0) {
      data->resize(before + static_cast<size_t>(n));
      return NetFault::kNone;
    }
    NetFault fault = NetFault::kNone;
    if (tls_) {
      fault = AfterTlsCall(static_cast<int>(n));
    } else if (n == 0) {
      fault = Fail(NetFault::kClosed, "the connection was closed");
    } else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
      fault = WaitFor(POLLIN);
    } else {
      fault = Fail(NetFault::kClosed, std::strerror(errno));
    }
    if (fault != NetFault::kNone) {
      data->resize(before);
      return fault;
    }
  }
}

int64_t NetStream::CertificateExpiry() const {
  if (!tls_) return 0;
  const std::unique_ptr<X509, void (*)(X509*)> certificate(SSL_get1_peer_certificate(tls_.get()), &X509_free);
  tm when{};
  if (!certificate || ASN1_TIME_to_tm(X509_get0_notAfter(certificate.get()), &when) != 1) return 0;
  return timegm(&when);
}

}  // namespace oasync::terminal
