// SyncConnection: one WebSocket that has joined the channel, from connecting to its end. It speaks the protocol; what
// to do after its end is its owner's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "endpoint.h"
#include "follower.h"
#include "phoenix_channel.h"
#include "tls_context.h"
#include "websocket_client.h"

namespace oasync::terminal {

struct SyncEvent {
  enum class Kind : uint8_t {
    kNothing,
    kJoined,         // the topics are followed from the follower's cursors on
    kBatch,          // `batch`, checked but not applied
    kStale,          // `payload` is the stale_cursor object
    kTokenExpiring,  // the server says so
    kTokenAccepted,  // the answer to Reauthenticate
    kTokenRefused,   // likewise; `text` says why
    // The connection is at its end:
    kUnreachable,   // nobody answers; `text` says why
    kUnauthorized,  // the token is not accepted; `text` says why
    kRefused,       // something else that trying again does not change
    kBusy,          // the server takes nobody at the moment
    kLost,
    kBroken,  // the server said what it may not
  };
  Kind kind = Kind::kNothing;
  std::string text;
  Json payload;
  UpdateBatch batch;
};

// What a server advises about connecting again, from whatever it last said.
struct Advice {
  std::optional<int64_t> base_ms;
  std::optional<int64_t> jitter_ms;
  std::optional<int64_t> once_ms;
};

class SyncConnection {
 public:
  SyncConnection(const Endpoint& endpoint, const TlsOptions& tls, size_t max_message_bytes, Follower* follower);

  // Begins; Next() brings kJoined or what came in between.
  void Start(const std::string& token);
  // The next thing that its owner has to know, or kNothing after the time.
  SyncEvent Next(int timeout_ms);

  // Asks for a topic again, from its cursor.
  void Resubscribe(const std::string& topic);
  // Asks where the server stands; the follower hears the answer.
  void AskHeartbeat();
  void Reauthenticate(const std::string& token);
  void Close();

  const Advice& advice() const { return advice_; }

 private:
  enum class Request : uint8_t { kJoin, kSubscribe, kHeartbeat, kReauthenticate };

  void Ask(Request what, const char* event, const Json& payload);
  SyncEvent OnMessage(const WebSocketEvent& message);
  SyncEvent OnReply(const ServerFrame& frame);
  SyncEvent OnJoinReply(const ServerFrame& frame);
  SyncEvent OnPush(const ServerFrame& frame);
  SyncEvent OnRefusal(const Json& error);
  SyncEvent OnFailure(const WebSocketEvent& failure);
  SyncEvent ExplainRefusal(int status) const;
  void KeepAlive();
  SyncEvent JudgeSilence() const;

  const Endpoint endpoint_;
  const TlsOptions tls_;
  Follower* const follower_;
  WebSocketClient socket_;
  std::string token_;
  std::map<std::string, Request> open_;  // by reference
  uint64_t next_ref_ = 1;
  int64_t last_heard_ms_ = 0;
  int64_t next_beat_ms_ = 0;
  int64_t silence_ms_ = 0;  // after which the server counts as gone
  std::string notice_;      // why the server is going to close, if it said so
  Advice advice_;
};

}  // namespace oasync::terminal
