// WebSocketClient: one WebSocket, on libwebsockets, which is seen in the source file only.
//
// One thread's. It is pulled: nothing is read while nobody calls Next(), so a slow reader slows the server down by TCP,
// and the memory it takes is that of one message and one read.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "endpoint.h"
#include "net_stream.h"

namespace oasync::terminal {

struct WebSocketEvent {
  enum class Kind : uint8_t {
    kNothing,  // in the time that was given
    kOpen,     // connected and upgraded
    kMessage,
    kFailed,  // could not connect, or the upgrade was refused: `status` is that of the answer, 0 without one
    kClosed,  // `status` is the close code, 0 when the connection was just gone
    kBroken,  // the peer broke the protocol, or sent too large a message
  };
  Kind kind = Kind::kNothing;
  bool is_binary = false;
  std::string data;  // the message
  int status = 0;
  std::string reason;  // in words
};

class WebSocketClient {
 public:
  WebSocketClient(Endpoint endpoint, TlsOptions tls, size_t max_message_bytes);
  ~WebSocketClient();
  WebSocketClient(const WebSocketClient&) = delete;
  WebSocketClient& operator=(const WebSocketClient&) = delete;

  // Begins to connect, with the token in a header; Next() tells how it went. Once only.
  void Connect(const std::string& token);
  // What happened next, waiting for at most so long, and less when a signal asks to stop.
  WebSocketEvent Next(int timeout_ms);
  // Puts a text message into the queue. Requests only: there are few, and they are small.
  void Send(std::string text);
  // Says good-bye with a close frame, and does not wait long for the answer.
  void Close();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace oasync::terminal
