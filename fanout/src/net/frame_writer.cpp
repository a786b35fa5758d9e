#include "net/frame_writer.h"

#include <libwebsockets.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>

namespace oasync {
namespace {

ssize_t Send(int fd, std::span<const FrameRef> frames) {
  if (frames.size() == 1) {
    const std::string_view bytes = frames[0]->wire();
    return send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  }
  std::array<iovec, kFramesAtOnce> vectors;
  for (size_t i = 0; i < frames.size(); ++i) {
    const std::string_view bytes = frames[i]->wire();
    vectors[i] = {const_cast<char*>(bytes.data()), bytes.size()};  // read only, whatever the type says
  }
  msghdr message{};
  message.msg_iov = vectors.data();
  message.msg_iovlen = frames.size();
  return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

// libwebsockets takes it whole: what it cannot send now it keeps, and sends first.
bool HandOver(lws* wsi, std::string_view rest) {
  auto* bytes = reinterpret_cast<unsigned char*>(const_cast<char*>(rest.data()));
  return lws_write(wsi, bytes, rest.size(), LWS_WRITE_HTTP) >= 0;  // "HTTP": as they are, without a header
}

}  // namespace

WriteOutcome WriteFrames(lws* wsi, std::span<const FrameRef> frames) {
  WriteOutcome outcome;
  const ssize_t sent = Send(lws_get_socket_fd(wsi), frames);
  if (sent < 0) {
    outcome.blocked = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
    outcome.failed = !outcome.blocked;
    return outcome;
  }
  auto left = static_cast<size_t>(sent);
  for (; outcome.taken < frames.size(); ++outcome.taken) {
    const std::string_view bytes = frames[outcome.taken]->wire();
    if (left < bytes.size()) break;
    left -= bytes.size();
  }
  outcome.blocked = outcome.taken < frames.size();
  if (left > 0) {
    outcome.failed = !HandOver(wsi, frames[outcome.taken]->wire().substr(left));
    ++outcome.taken;
  }
  return outcome;
}

bool WriteByLibrary(lws* wsi, Frame& frame) {
  // libwebsockets would write a header that does not say that the message is compressed.
  if (frame.compressed()) return HandOver(wsi, frame.wire());
  return lws_write(wsi, frame.payload(), frame.size(), frame.binary() ? LWS_WRITE_BINARY : LWS_WRITE_TEXT) >= 0;
}

}  // namespace oasync
