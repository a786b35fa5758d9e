#include "net/tcp_progress.h"

// The kernel's own header, which does not go together with netinet/tcp.h: glibc's tcp_info lacks the field.
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace oasync {

uint64_t AcknowledgedBytes(int fd) {
  tcp_info info{};
  socklen_t length = sizeof(info);
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return 0;
  return info.tcpi_bytes_acked;
}

}  // namespace oasync
