// How far a TCP peer has come.
#pragma once

#include <cstdint>

namespace oasync {

// Bytes that the peer's kernel has acknowledged since the connection began; 0 if the kernel does not tell.
uint64_t AcknowledgedBytes(int fd);

}  // namespace oasync
