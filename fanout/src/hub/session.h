// Session: one client's Phoenix channel, from its join to the end of its socket.
//
// It has no outgoing queue of updates: per topic a cursor, and whenever its socket can be written it takes the next
// batch, in turns between topics that have one. Memory per session is constant, whatever the client's pace.
// One thread, that of its hub; held by shared_ptr because answers from the database may come after its end.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "auth/token.h"
#include "base/token_bucket.h"
#include "hub/hub.h"
#include "hub/topic.h"
#include "hub/turns.h"
#include "wire/messages.h"
#include "wire/phoenix.h"
#include "wire/requests.h"

namespace oasync {

// WebSocket close codes that the server uses.
inline constexpr uint16_t kCloseGoingAway = 1001;
inline constexpr uint16_t kCloseUnacceptable = 1003;  // a kind of frame that has no meaning here
inline constexpr uint16_t kCloseBadData = 1007;       // not UTF-8, not JSON, not a Phoenix message
inline constexpr uint16_t kClosePolicy = 1008;        // token expired, silent
inline constexpr uint16_t kCloseTooBig = 1009;

// The socket, as the session sees it.
class SessionSocket {
 public:
  virtual ~SessionSocket() = default;
  // NextFrame is to be called as soon as the socket can take a frame.
  virtual void WantWrite() = 0;
  // Ends the socket once the frames before it are out. The session may be destroyed soon after, not during the call.
  virtual void Close(uint16_t code, std::string_view reason) = 0;
  virtual SocketFacts Describe() const { return {}; }
};

class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(Hub& hub, SessionSocket& socket, GrantRef grant);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // -- from the socket
  // Batches go out compressed from now on, where that is worth it. To be called before the first message.
  void UseDeflate() { deflate_ = true; }
  // One whole message. REQUIRES of OnText: valid UTF-8.
  void OnText(std::string_view text);
  void OnBinary(std::string_view bytes);
  // The next frame to send, or null. Answers first, then batches.
  FrameRef NextFrame();
  bool HasControlFrames() const { return !control_.empty(); }
  bool HasFrames() const { return HasControlFrames() || !ready_.empty(); }
  // False while so many answers wait to be sent that no more questions should be read.
  bool WantsInput() const { return control_.size() < hub_.options().session.max_waiting_answers; }
  // What the socket says before it closes: why, and when to come back.
  void TellSlowConsumer();
  void TellGoingAway();
  // Heartbeats and token times. Returns when it wants to be called next (steady milliseconds).
  int64_t OnTimer();

  // -- from the hub
  void OnTopicAdvanced(Subscription* subscription);
  void OnPage(Subscription* subscription, const PageRef& page);
  // The page it sends from is needed elsewhere; it asks for it again in its turn.
  void GiveBackPage(Subscription* subscription) { ReleasePage(subscription); }
  // The journal had nothing after the subscription's cursor, or could not be read.
  void OnReplayGap(Subscription* subscription);
  // The subscription's place is in the topic's new epoch too: it goes on from there.
  void ContinueIn(Subscription* subscription, const TopicState& state);
  // The subscription cannot go on: tells the client and ends it.
  void DropStale(Subscription* subscription, StaleReason reason, const TopicState& state);

  // Says so and closes when the token was revoked since; true then.
  bool EndIfRevoked();
  // Its place in the hub's index is another one now.
  void MoveInIndex(uint32_t place) { place_in_index_ = place; }

  const Grant& grant() const { return *grant_; }
  size_t subscription_count() const { return subscriptions_.size(); }
  bool joined() const { return joined_; }
  // For operators.
  SurveyedSession Describe() const;

 private:
  static constexpr uint32_t kReplaySlots = 2;  // journal reads under way and pages held, over all topics

  // What the client calls itself, as far as it does. Cut at kMaxNameBytes.
  struct ClientName {
    std::string name;
    std::string build_id;
  };
  static constexpr size_t kMaxNameBytes = 64;

  // A join or subscribe that may have to wait for the database.
  struct PendingSubscribe {
    PhoenixRef join_ref;
    PhoenixRef ref;
    bool is_join = false;
    SubscribeRequest request;
    std::vector<TopicRef> topics;  // as in request
    // Of topics whose cursor is of another epoch; asked for after their states.
    std::unordered_map<std::string, std::vector<SharedHistory>> histories;
    uint32_t generation = 0;  // of the channel that asked
  };

  // session.cpp: the channel
  void Handle(PhoenixMessage message);
  void HandleChannel(PhoenixMessage message);
  void Join(const PhoenixMessage& message);
  void Leave(const PhoenixMessage& message);
  void Unsubscribe(const PhoenixMessage& message);
  void Heartbeat(const PhoenixMessage& message);
  void Reauthenticate(const PhoenixMessage& message);
  void LeaveAll();
  void SetJoined(bool joined);
  void NoteClient(const Json& join);
  void WarnOfToken();
  void Reply(const PhoenixRef& join_ref, const PhoenixRef& ref, bool ok, const Json& response);
  void ReplyTo(const PhoenixMessage& message, bool ok, const Json& response) {
    Reply(message.join_ref, message.ref, ok, response);
  }
  void PushEvent(std::string_view event, const Json& payload);
  void Enqueue(FrameRef frame);
  std::string SubscriptionId() const;
  static uint64_t ShownHeadOf(const Subscription& subscription);
  std::vector<TopicPosition> Positions() const;
  bool TakeRateToken(const PhoenixMessage& message);

  // session_subscribe.cpp: join and subscribe
  void Subscribe(PhoenixMessage message);
  void BeginSubscribe(const std::shared_ptr<PendingSubscribe>& pending);
  bool CheckTopics(const PendingSubscribe& pending);
  bool CheckScopes(const PendingSubscribe& pending);
  bool StatesAreKnown(const PendingSubscribe& pending, std::vector<TopicState>* states) const;
  // Whether the channel that asked is still there and the token still good for it; replies otherwise.
  bool MayFinish(const PendingSubscribe& pending);
  void OnStates(const std::shared_ptr<PendingSubscribe>& pending, const ReadResult<std::vector<TopicState>>& result);
  bool AskHistories(const std::shared_ptr<PendingSubscribe>& pending, const std::vector<TopicState>& states);
  void FailToRead(const PendingSubscribe& pending);
  void FinishSubscribe(const PendingSubscribe& pending, const std::vector<TopicState>& states);
  void RefuseStale(const PendingSubscribe& pending, const std::vector<StaleTopic>& stale);
  void AcceptSubscribe(const PendingSubscribe& pending, const std::vector<TopicState>& states);
  // A place for what has to be read from the journal; null in *place when nothing has. False when it is refused.
  bool AdmitReplay(const PendingSubscribe& pending, const std::vector<TopicState>& states, ReplayPlaceRef* place);
  void RefuseStorm(const PendingSubscribe& pending, const char* kind, int64_t retry_after_ms);
  void FailSubscribe(const PendingSubscribe& pending, const Json& error);
  Json JoinResponse(const std::vector<TopicPosition>& positions) const;

  // session_delivery.cpp: subscriptions and batches
  Subscription* Find(std::string_view topic) const;
  void AddSubscription(const TopicRef& topic, const TopicPosition& position, uint32_t max_events,
                       const ReplayPlaceRef& place);
  void RemoveSubscription(Subscription* subscription);
  void MakeReady(Subscription* subscription);
  FrameRef TakeBatch(Subscription* subscription);
  template <typename Cache>
  FrameRef Compress(FrameKey key, bool is_shared, const FrameRef& plain, Cache* cache, uint64_t goal);
  template <typename Cache, typename At>
  FrameRef CutBatch(Subscription* subscription, Cache* cache, uint64_t end, At at);
  static bool HasWindow(const Subscription& subscription);
  static bool HasMore(const Subscription& subscription);
  static bool NeedsJournal(const Subscription& subscription);
  static uint64_t HeadOf(const Subscription& subscription);
  void NoteReplay(Subscription* subscription);
  int64_t BehindUs(const Subscription& subscription) const;
  void ReportLag();
  void StartRead(Subscription* subscription);
  void ReleasePage(Subscription* subscription);
  void FreeSlot();

  Hub& hub_;
  SessionSocket& socket_;
  GrantRef grant_;
  std::vector<std::unique_ptr<Subscription>> subscriptions_;
  Turns ready_;
  Turns blocked_;                  // that wait for a replay slot
  std::vector<FrameRef> control_;  // answers and notices; first in, first out
  PhoenixRef join_ref_;
  TokenBucket requests_;
  int64_t heartbeat_at_ms_;
  std::unique_ptr<const ClientName> client_;  // null: it did not say
  uint64_t subscription_id_ = 0;
  uint32_t generation_ = 0;  // grows with every join and leave
  uint32_t place_in_index_;
  uint16_t outstanding_ = 0;
  uint8_t slots_in_use_ = 0;
  Encoding encoding_ = Encoding::kJson;
  bool deflate_ = false;
  bool joined_ = false;
  bool token_warned_ = false;
};

}  // namespace oasync
