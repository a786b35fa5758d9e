#include "parity_wire.h"

#include <algorithm>

#include "base/clock.h"
#include "canonical_text.h"
#include "stop.h"
#include "sync_connection.h"

namespace oasync::terminal {
namespace {

constexpr size_t kMaxMessageBytes = size_t{16} << 20;

int64_t NowMs() { return SystemClock().SteadyMs(); }

const char* OpOf(const openagents::sync::v1::Update& update) {
  switch (update.op()) {
    case openagents::sync::v1::SYNC_OP_DELETE:
      return "delete";
    case openagents::sync::v1::SYNC_OP_TRUNCATE:
      return "truncate";
    default:
      return "upsert";
  }
}

// True when the batch has reached the watermark.
bool Take(const UpdateBatch& batch, uint64_t watermark, WireAnswer* answer) {
  for (const auto& update : batch.updates()) {
    if (update.watermark() != watermark) continue;
    answer->came = true;
    answer->doc_key = update.doc_key();
    answer->op = OpOf(update);
    answer->state.exists = answer->op == "upsert";
    answer->state.version = static_cast<int64_t>(update.doc_version());
    answer->state.hash = HashOfBytes(update.payload_hash());
  }
  return batch.through_watermark() >= watermark;
}

}  // namespace

WireProbe::WireProbe(ServerOptions server, int64_t within_ms)
    : server_(std::move(server)),
      tokens_(server_.token, HttpClient(server_.endpoint, server_.tls, server_.timeout_ms)),
      within_ms_(within_ms) {}

WireAnswer WireProbe::Probe(const std::string& topic, int64_t epoch, int64_t watermark) const {
  WireAnswer answer;
  const TokenResult token = tokens_.Get();
  if (token.token.empty()) {
    answer.error = token.error;
    return answer;
  }
  Follower follower;
  follower.Add(topic, Cursor{static_cast<uint64_t>(epoch), static_cast<uint64_t>(watermark - 1)});
  SyncConnection connection(server_.endpoint, server_.tls, kMaxMessageBytes, &follower);
  connection.Start(token.token);
  const int64_t until_ms = NowMs() + within_ms_;
  while (StopSignal() == 0 && NowMs() < until_ms) {
    SyncEvent event = connection.Next(kLookForStopMs);
    switch (event.kind) {
      case SyncEvent::Kind::kNothing:
      case SyncEvent::Kind::kTokenAccepted:
      case SyncEvent::Kind::kTokenRefused:
      case SyncEvent::Kind::kTokenExpiring:
        break;
      case SyncEvent::Kind::kJoined:
        answer.answered = true;
        break;
      case SyncEvent::Kind::kBatch:
        answer.answered = true;
        if (!Take(event.batch, static_cast<uint64_t>(watermark), &answer)) break;
        connection.Close();
        return answer;
      case SyncEvent::Kind::kStale:
        answer.answered = false;
        answer.error = "its place is not retained any more";
        return answer;
      case SyncEvent::Kind::kBroken:
        // Among what a server may not say: a payload that has not the hash that comes with it.
        answer.answered = true;
        answer.error = event.text;
        return answer;
      default:
        answer.answered = false;
        answer.error = event.text;
        return answer;
    }
  }
  if (!answer.answered) answer.error = "the fan-out did not answer in time";
  return answer;
}

std::optional<Difference> CompareWithWire(const std::string& doc_key, const JournalState& journal,
                                          const WireAnswer& answer) {
  if (!answer.answered) return std::nullopt;
  Difference difference;
  difference.compared = Compared::kWire;
  difference.reference = journal.event;
  difference.other = answer.state;
  if (!answer.came) {
    difference.reason = answer.error.empty() ? ParityReason::kLagDrift : ParityReason::kSummaryHashMismatch;
    difference.detail = answer.error.empty() ? "a subscriber did not get its newest event in time"
                                             : "a subscriber got what cannot be used: " + answer.error;
    return difference;
  }
  difference.reason = ParityReason::kSummaryHashMismatch;
  const bool is_upsert = journal.op == "upsert";
  if (answer.op != journal.op || (is_upsert && answer.doc_key != doc_key)) {
    difference.detail = "a subscriber got another event at its watermark: " + answer.op + " of " + answer.doc_key;
    return difference;
  }
  if (is_upsert && Compare(journal.event, answer.state) != Standing::kEqual) {
    difference.detail = "a subscriber got another version or content than the journal has";
    return difference;
  }
  return std::nullopt;
}

}  // namespace oasync::terminal
