// LoadScript: what the load generator is to do.
//
// As text it is lines of `name=value`, ended by an empty one; `{n}` in a value is `first` and the connection's number
// added up.
//   connections  how many
//   sources      they come from 127.0.0.1 to 127.0.0.<sources>: a source address has ports for 28 000 of them
//   target       of the upgrade request                 protocol    Sec-WebSocket-Protocol to offer
//   extensions   Sec-WebSocket-Extensions to offer      hello       text message to send once connected (\r\n as in C)
//   authorization  of the upgrade request               ready       text in the message that tells "subscribed";
//   without
//                                                                   one connected is enough
//   count        watermarks: deliveries are counted by the interval that ends a sync:update_batch; frames: by frames
//   stamp        text after which the time of sending stands in a message (CLOCK_MONOTONIC, ns)
//   record       file for what the first connection gets after it was subscribed
//   every        how many connections may be under way at once
// After it come commands, one a line, each answered by one line:
//   wait N       answers when N deliveries have come since the start, or the last `reset`
//   report       what has come so far, as JSON
//   reset        forgets what has come so far
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace oasync::terminal {

struct LoadScript {
  size_t first = 0;
  size_t connections = 1;
  size_t sources = 1;
  size_t every = 64;
  std::string target;
  std::string protocol;
  std::string extensions;
  std::string authorization;
  std::string hello;
  std::string ready;
  bool counts_watermarks = false;
  std::string stamp;
  std::string record;

  // Takes one line; empty when it was understood, else why not.
  std::string Take(std::string_view line);

  // A value with its {n} replaced for one connection.
  std::string For(const std::string& value, size_t connection) const;
};

}  // namespace oasync::terminal
