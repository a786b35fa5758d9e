// WriteFrames: several WebSocket frames to one plain socket, in one system call, past libwebsockets.
//
// libwebsockets sends one frame a call and copies what the kernel does not take. Here many frames go out at once, and
// only the rest of the one that was cut is given to libwebsockets, as bytes that are no frame of their own: from then
// on it sends nothing else on this connection, not even a pong, until they are out. So the two ways never mix
// within a frame.
#pragma once

#include <cstddef>
#include <span>

#include "wire/frame.h"

struct lws;

namespace oasync {

// At most this many frames in one call.
inline constexpr size_t kFramesAtOnce = 8;

struct WriteOutcome {
  size_t taken = 0;      // frames that are with the kernel, or with libwebsockets
  bool blocked = false;  // the socket has no room now
  bool failed = false;   // the connection is gone
};

// REQUIRES: the frames are sealed; the connection has no TLS; libwebsockets has nothing buffered
// for it. The loop's thread.
WriteOutcome WriteFrames(lws* wsi, std::span<const FrameRef> frames);

// One frame by libwebsockets, which keeps what cannot be sent now. False: the connection is gone. The loop's thread.
bool WriteByLibrary(lws* wsi, Frame& frame);

}  // namespace oasync
