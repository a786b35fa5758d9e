// What the hub's tests put in place of a database, a clock and sockets.
#pragma once

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "auth/token.h"
#include "base/clock.h"
#include "hub/hub.h"
#include "hub/session.h"
#include "openagents/sync/v1/sync.pb.h"
#include "source.h"
#include "wire/update_json.h"

namespace oasync {

class FakeClock final : public Clock {
 public:
  int64_t SteadyMs() const override { return steady_ms; }
  int64_t WallMs() const override { return wall_ms; }
  void Advance(int64_t ms) {
    steady_ms += ms;
    wall_ms += ms;
  }
  int64_t steady_ms = 1000000;
  int64_t wall_ms = 1700000000000;
};

// An event as the database side would build it.
inline EventRef MakeEvent(const std::string& topic, uint64_t watermark, const std::string& payload = R"({"a":1})",
                          Op op = Op::kUpsert, uint64_t epoch = 1) {
  auto event = std::make_shared<Event>();
  event->topic = topic;
  event->watermark = watermark;
  event->epoch = epoch;
  event->op = op;
  event->inserted_at_us = 1700000000000000;
  if (op == Op::kVoid) return event;
  openagents::sync::v1::Update update;
  update.set_topic(topic);
  update.set_doc_key("doc/" + std::to_string(watermark));
  update.set_doc_version(watermark);
  if (op == Op::kUpsert) update.set_payload(payload);
  update.set_watermark(watermark);
  update.set_payload_hash(std::string(32, 'h'));
  update.set_op(static_cast<openagents::sync::v1::SyncOp>(op));
  update.set_epoch(epoch);
  update.set_inserted_at_us(event->inserted_at_us);
  event->proto = update.SerializeAsString();
  event->json = UpdateToJson(ViewOf(update));
  return event;
}

inline EventRef MakeVoid(const std::string& topic, uint64_t watermark) {
  return MakeEvent(topic, watermark, {}, Op::kVoid);
}

// A journal in memory. Answers wait until the test lets them go.
class FakeSource final : public Source {
 public:
  void Follow(const std::string& topic) override { followed.push_back(topic); }
  void Unfollow(const std::string& topic) override { unfollowed.push_back(topic); }
  void ReadHeads(std::vector<std::string> topics, HeadsCallback done) override {
    ++heads_reads;
    answers.push_back([this, topics = std::move(topics), done = std::move(done)] {
      ReadResult<std::vector<TopicState>> result;
      result.error = error;
      for (const auto& topic : topics) {
        if (result.ok())
          result.value.push_back({topic, journal[topic].size(), floors[topic], epoch, 0, policies[topic]});
      }
      done(std::move(result));
    });
  }
  void ReadHistories(std::vector<std::string> topics, HistoriesCallback done) override {
    answers.push_back([this, topics = std::move(topics), done = std::move(done)] {
      ReadResult<std::vector<std::vector<SharedHistory>>> result;
      result.error = error;
      for (const auto& topic : topics) {
        if (result.ok()) result.value.push_back(histories[topic]);
      }
      done(std::move(result));
    });
  }
  void ReadAfter(const std::string& topic, uint64_t after, uint32_t max_events, uint64_t,
                 EventsCallback done) override {
    reads.emplace_back(topic, after);
    answers.push_back([this, topic, after, max_events, done = std::move(done)] {
      ReadResult<std::vector<EventRef>> result;
      result.error = error;
      const auto& events = journal[topic];
      const size_t most = std::min(max_events, max_per_read);
      for (uint64_t w = after + 1; result.ok() && w <= events.size() && result.value.size() < most; ++w) {
        if (w <= floors[topic] || w == hidden) break;
        result.value.push_back(events[w - 1]);
      }
      done(std::move(result));
    });
  }

  // Appends to the journal only; whoever tails has to be told by the test.
  EventRef Append(const std::string& topic, std::string payload = R"({"a":1})", Op op = Op::kUpsert) {
    auto& events = journal[topic];
    events.push_back(MakeEvent(topic, events.size() + 1, payload, op, epoch));
    return events.back();
  }
  void Fill(const std::string& topic, size_t count) {
    for (size_t i = 0; i < count; ++i) Append(topic);
  }
  // Lets every waiting answer go; false if there was none.
  bool Answer() {
    if (answers.empty()) return false;
    for (auto& answer : std::exchange(answers, {})) answer();
    return true;
  }

  std::map<std::string, std::vector<EventRef>> journal;
  std::map<std::string, uint64_t> floors;
  std::map<std::string, std::vector<SharedHistory>> histories;
  std::map<std::string, TopicPolicy> policies;
  uint64_t epoch = 1;
  uint64_t hidden = 0;                 // a watermark that is not visible yet
  uint32_t max_per_read = UINT32_MAX;  // as when events are large
  std::string error;
  int heads_reads = 0;
  std::vector<std::pair<std::string, uint64_t>> reads;
  std::vector<std::string> followed;
  std::vector<std::string> unfollowed;
  std::vector<std::function<void()>> answers;
};

class FakeFeed final : public TopicFeed {
 public:
  explicit FakeFeed(FakeSource& source) : source_(source) {}
  void Follow(const std::string& topic) override { source_.Follow(topic); }
  void Unfollow(const std::string& topic) override { source_.Unfollow(topic); }
  std::optional<TopicState> Recover(const std::string&, uint64_t) override {
    return std::exchange(recovered, std::nullopt);
  }

  std::optional<TopicState> recovered;  // what the next Recover() is told

 private:
  FakeSource& source_;
};

inline std::string Base64Url(std::string_view bytes) {
  static constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string out;
  uint32_t group = 0;
  int bits = 0;
  for (const char c : bytes) {
    group = group << 8 | static_cast<uint8_t>(c);
    for (bits += 8; bits >= 6; bits -= 6) out.push_back(kAlphabet[group >> (bits - 6) & 63]);
  }
  if (bits > 0) out.push_back(kAlphabet[group << (6 - bits) & 63]);
  return out;
}

inline const std::string kTestSecret(32, 's');

inline Keyring TestKeyring() { return {"k1", {{"k1", kTestSecret}, {"k0", std::string(40, 'o')}}}; }

inline nlohmann::json TestClaims(int64_t now_s) {
  return {{"iss", "openagents"},
          {"aud", "oa-sync"},
          {"sub", "user-1"},
          {"iat", now_s},
          {"nbf", now_s},
          {"exp", now_s + 300},
          {"jti", "id-1"},
          {"oa_user_id", "u1"},
          {"oa_org_id", "org1"},
          {"oa_sync_scopes", {"t", "run:*", "org:{oa_org_id}"}},
          {"oa_claims_version", "oa_sync_claims_v1"}};
}

inline std::string SignToken(const nlohmann::json& claims,
                             const nlohmann::json& header = {{"alg", "HS256"}, {"typ", "JWT"}, {"kid", "k1"}},
                             const std::string& secret = kTestSecret) {
  const std::string text = Base64Url(header.dump()) + "." + Base64Url(claims.dump());
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), mac, &length);
  return text + "." + Base64Url({reinterpret_cast<const char*>(mac), length});
}

// A client's end: takes frames when told to.
class FakeSocket final : public SessionSocket {
 public:
  void WantWrite() override { ++wants; }
  void Close(uint16_t code, std::string_view) override {
    if (close_code == 0) close_code = code;
  }

  std::shared_ptr<Session> session;
  int wants = 0;
  uint16_t close_code = 0;
};

// A hub with its surroundings, and clients on it.
class HubFixture {
 public:
  explicit HubFixture(HubOptions options = {}, const RevocationList* revocations = nullptr)
      : feed(source),
        pages(options.PageOptions(), source),
        admission(options.admission, clock.steady_ms),
        verifier(std::make_shared<Current<KeySet>>(std::make_shared<KeySet>(TestKeyring())), {"openagents", "oa-sync"},
                 revocations),
        hub(options, HubEnvironment{feed, source, pages, admission,
                                    [this](std::function<void()> task) { tasks.push_back(std::move(task)); }, clock,
                                    verifier, counters, shared}) {}

  // Lets the database answer and the loop run until nothing is left to do.
  void Settle() {
    while (RunTasks() || source.Answer()) {
    }
  }
  bool RunTasks() {
    if (tasks.empty()) return false;
    for (auto& task : std::exchange(tasks, {})) task();
    return true;
  }

  std::unique_ptr<FakeSocket> Connect(ScopeSet scopes = {}) {
    auto grant = std::make_shared<Grant>();
    grant->subject = "user-1";
    grant->org_id = "org1";
    grant->expires_at = clock.wall_ms / 1000 + 300;
    if (scopes.Names().empty()) scopes.Add({"", true});
    grant->scopes = std::move(scopes);
    auto socket = std::make_unique<FakeSocket>();
    socket->session = std::make_shared<Session>(hub, *socket, std::move(grant));
    return socket;
  }
  // Sends [join_ref "1", ref, "sync:v1", event, payload].
  static void Send(FakeSocket& socket, const std::string& ref, const std::string& event, const Json& payload) {
    socket.session->OnText(Json({"1", ref, "sync:v1", event, payload}).dump());
  }
  static std::optional<Json> Next(FakeSocket& socket) {
    const FrameRef frame = socket.session->NextFrame();
    if (!frame) return std::nullopt;
    return Json::parse(frame->view());
  }
  // Everything the session has to send, as long as the database is quick.
  std::vector<Json> TakeAll(FakeSocket& socket) {
    std::vector<Json> messages;
    do {
      while (auto message = Next(socket)) messages.push_back(std::move(*message));
      Settle();
    } while (socket.session->HasFrames());
    return messages;
  }
  // Joins and returns the response.
  Json Join(FakeSocket& socket, const Json& params = Json::object()) {
    Send(socket, "1", "phx_join", params);
    Settle();
    return Next(socket).value()[4];
  }

  // The tail's word.
  void Following(const std::string& topic, uint64_t head) {
    hub.OnFollowing({topic, head, source.floors[topic], source.epoch, 0, source.policies[topic]});
  }
  void Live(const std::string& topic, std::string payload = R"({"a":1})", Op op = Op::kUpsert) {
    hub.OnEvents({source.Append(topic, std::move(payload), op)});
  }

  FakeClock clock;
  FakeSource source;
  FakeFeed feed;
  PageCache pages;
  Admission admission;
  TokenVerifier verifier;
  LoopCounters counters;
  SharedCounters shared;
  std::deque<std::function<void()>> tasks;
  Hub hub;
};

}  // namespace oasync
