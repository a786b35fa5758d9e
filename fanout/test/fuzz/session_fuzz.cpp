// A whole session on a fake database: whatever a client sends, and whenever the database answers, each frame is a
// message, and the batches of a topic follow each other without a gap from where the reply says they begin.
//
// The input is a script of lines: `[...` is sent as a text message, `b...` as a binary one, and single letters are what
// happens meanwhile: l an event, v a void one, s the database answers, n the client reads a frame, t two seconds pass,
// f the database fails from now on (or no longer), r retention, k the hub's tick.
#include "fuzz.h"

#include <map>

#include "../unit/fakes.h"
#include "base/utf8.h"

namespace oasync {
namespace {

// The client's end: reads frames and keeps its cursors.
class Client {
 public:
  explicit Client(HubFixture& hub) : socket_(hub.Connect()) {}

  FakeSocket& socket() { return *socket_; }
  bool IsOpen() const { return socket_->close_code == 0; }

  bool Read() {
    const FrameRef frame = socket_->session->NextFrame();
    if (!frame) return false;
    if (frame->binary()) {
      ReadBinary(frame->view());
    } else {
      ReadText(frame->view());
    }
    return true;
  }

 private:
  void ReadText(std::string_view text) {
    PROMISE(IsValidUtf8(text));
    const auto message = ParsePhoenixText(text);
    PROMISE(message);
    const Json& payload = message->payload;
    if (message->event == "phx_reply") {
      const Json& response = payload["response"];
      PROMISE(payload["status"] == "ok" || payload["status"] == "error");
      if (!response.contains("current_watermarks")) return;
      for (const Json& cursor : response["current_watermarks"]) cursors_[cursor["topic"]] = cursor["watermark"];
    } else if (message->event == "sync:update_batch") {
      Json updates = payload["updates"];
      PROMISE(!updates.empty() && updates.size() <= 200);
      Advance(updates[0]["topic"], payload["after_watermark"], payload["through_watermark"]);
      for (const Json& update : updates) PROMISE(update["topic"] == updates[0]["topic"]);
    }
  }

  void ReadBinary(std::string_view bytes) {
    PROMISE(bytes.size() > 3 && bytes[0] == 2);
    const size_t head = 3u + static_cast<uint8_t>(bytes[1]) + static_cast<uint8_t>(bytes[2]);
    PROMISE(bytes.size() > head);
    openagents::sync::v1::UpdateBatch batch;
    PROMISE(batch.ParseFromArray(bytes.data() + head, static_cast<int>(bytes.size() - head)));
    PROMISE(batch.updates_size() > 0);
    Advance(batch.updates(0).topic(), batch.after_watermark(), batch.through_watermark());
  }

  void Advance(const std::string& topic, uint64_t after, uint64_t through) {
    const auto cursor = cursors_.find(topic);
    PROMISE(cursor != cursors_.end());
    PROMISE(after == cursor->second);
    PROMISE(through > after);
    cursor->second = through;
  }

  std::unique_ptr<FakeSocket> socket_;
  std::map<std::string, uint64_t> cursors_;
};

class Play {
 public:
  Play() : client_(hub_) {
    hub_.source.Fill("t", 30);
    hub_.source.Fill("run:1", 3);
    hub_.source.floors["t"] = 5;
    hub_.source.histories["t"] = {{7, 20}};
  }

  void Line(std::string_view line) {
    if (line.empty() || !client_.IsOpen()) return;
    Session& session = *client_.socket().session;
    if (line[0] == '[') {
      if (session.WantsInput() && IsValidUtf8(line)) session.OnText(line);
    } else if (line[0] == 'b') {
      if (session.WantsInput()) session.OnBinary(line.substr(1));
    } else {
      for (const char c : line) Happen(c);
    }
  }

  // Everything is answered and read in the end; a database that failed comes back.
  void End() {
    hub_.source.error.clear();
    for (int round = 0; round < 4; ++round) {
      hub_.Settle();
      while (client_.IsOpen() && client_.Read()) {
      }
      hub_.clock.Advance(3000);
      hub_.hub.Tick();
    }
  }

 private:
  void Happen(char c) {
    switch (c) {
      case 'l':
        return Live(Op::kUpsert);
      case 'v':
        return Live(Op::kVoid);
      case 's':
        return hub_.Settle();
      case 'n':
        client_.Read();
        return;
      case 't':
        hub_.clock.Advance(2000);
        client_.socket().session->OnTimer();
        return;
      case 'f':
        hub_.source.error = hub_.source.error.empty() ? "down" : "";
        return;
      case 'r':
        hub_.source.floors["t"] = std::min<uint64_t>(hub_.source.floors["t"] + 4, hub_.source.journal["t"].size());
        return;
      case 'k':
        return hub_.hub.Tick();
      default:
        return;
    }
  }

  void Live(Op op) {
    if (hub_.source.journal["t"].size() > 500) return;
    if (!following_) hub_.Following("t", hub_.source.journal["t"].size());
    following_ = true;
    hub_.hub.OnEvents({hub_.source.Append("t", R"({"a":1})", op)});
  }

  HubFixture hub_;
  Client client_;
  bool following_ = false;
};

}  // namespace
}  // namespace oasync

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view script = AsText(data, size);
  oasync::Play play;
  for (int lines = 0; !script.empty() && lines < 200; ++lines) {
    const size_t end = script.find('\n');
    play.Line(script.substr(0, end));
    script.remove_prefix(end == std::string_view::npos ? script.size() : end + 1);
  }
  play.End();
  return 0;
}
