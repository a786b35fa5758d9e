#include "tail.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <random>

#include "auth/strict_json.h"
#include "base/clock.h"
#include "base/percent.h"
#include "exit_code.h"
#include "snapshot_reader.h"
#include "stop.h"

namespace oasync::terminal {
namespace {

using Kind = SyncEvent::Kind;

constexpr int kIdleMs = 1000;
constexpr int kSaveEveryMs = 100;  // a cursor file is written at most so often
constexpr int kProgressEveryMs = 200;
constexpr int kAskPlaceMs = 100;  // silence after which --no-follow asks where the server stands
constexpr int kRenewRetryMs = 1000;
constexpr int64_t kRenewBeforeMs = 30000;
constexpr int kMaxResyncsInARow = 3;
constexpr size_t kFlushBytes = 262144;
constexpr uint64_t kLongReplay = 1000;  // events behind from which progress is shown

int64_t NowMs() { return SystemClock().SteadyMs(); }

int64_t RandomUpTo(int64_t limit) {
  static std::mt19937_64 generator{std::random_device{}()};
  return std::uniform_int_distribution<int64_t>(0, limit)(generator);
}

std::string Seconds(int64_t ms) {
  std::array<char, 32> text;
  snprintf(text.data(), text.size(), "%.1f s", static_cast<double>(ms) / 1000);
  return text.data();
}

}  // namespace

Tail::Tail(const TailOptions& options, Notices* notices, Output* output, EventFormat format)
    : options_(options),
      notices_(*notices),
      output_(*output),
      format_(std::move(format)),
      tokens_(options.server.token, HttpClient(options.server.endpoint, options.server.tls, options.server.timeout_ms)),
      backoff_(&RandomUpTo) {}

int Tail::Run() {
  if (!Prepare()) return exit_code_;
  began_ms_ = NowMs();
  while (Connect()) {
    const Next next = Serve();
    if (next == Next::kEnd) {
      // A close frame, so that the server knows; then what was printed is noted a last time.
      if (connection_) connection_->Close();
      break;
    }
  }
  notices_.ClearProgress();
  if (!output_.has_failed()) SaveCursors(true);
  return exit_code_;
}

Tail::Next Tail::End(int exit_code, const std::string& error) {
  exit_code_ = exit_code;
  notices_.ClearProgress();
  if (!error.empty()) SayError(error);
  return Next::kEnd;
}

// Where each topic begins: in the cursor file, or as --since says.
bool Tail::Prepare() {
  if (!options_.cursor_file.empty()) {
    const std::string error = cursor_file_.Open(options_.cursor_file);
    if (!error.empty()) return End(kExitLocalFile, "--cursor: " + error) != Next::kEnd;
  }
  std::vector<std::string> at_head;
  for (const std::string& topic : options_.topics) {
    const auto known = cursor_file_.cursors().find(topic);
    if (known != cursor_file_.cursors().end()) {
      follower_.Add(topic, known->second);
      continue;
    }
    follower_.Add(topic, std::nullopt);
    if (options_.start.kind == Since::Kind::kWatermark) follower_.Add(topic, Cursor{0, options_.start.watermark});
    if (options_.start.kind == Since::Kind::kTime) timed_.insert(topic);
    if (options_.start.kind == Since::Kind::kNow) at_head.push_back(topic);
  }
  return at_head.empty() || StartAtHeads(at_head);
}

bool Tail::StartAtHeads(const std::vector<std::string>& topics) {
  std::string path = "/api/sync/heads";
  for (const std::string& topic : topics) path += (&topic == &topics[0] ? "?topic=" : "&topic=") + PercentEncode(topic);
  const TokenResult token = tokens_.Get();
  if (token.token.empty()) return End(token.exit_code, token.error) != Next::kEnd;
  const ServerOptions& server = options_.server;
  const HttpOutcome outcome = HttpClient(server.endpoint, server.tls, server.timeout_ms).Get(path, token.token);
  if (!outcome.Is(200)) {
    return End(ExitCodeOf(outcome), server.endpoint.HttpUrl() + ": " +
                                        (outcome.response ? DescribeError(*outcome.response) : outcome.error)) !=
           Next::kEnd;
  }
  size_t found = 0;
  const Json body = ParseStrictJson(outcome.response->body);
  for (const Json& head : Member(body, "heads")) {
    const auto watermark = ReadInteger(Member(head, "head_watermark"));
    const auto epoch = ReadInteger(Member(head, "epoch"));
    if (!watermark || !epoch || follower_.topics().count(TextMember(head, "topic")) == 0) continue;
    follower_.Add(TextMember(head, "topic"), Cursor{*epoch, *watermark});
    ++found;
  }
  if (found == topics.size()) return true;
  return End(kExitBadAnswer, server.endpoint.HttpUrl() + ": the answer has no heads") != Next::kEnd;
}

// Begins a connection with a token of now; false at the end.
bool Tail::Connect() {
  TokenResult token;
  for (;;) {
    if (StopSignal() != 0) return End(kExitSignal + StopSignal()) != Next::kEnd;
    token = tokens_.Get();
    if (!token.token.empty()) break;
    if (StopSignal() != 0) continue;
    // A fan-out that makes no tokens for the moment, or a file that is being written, may be better in another: as with
    // any lost connection.
    if (!was_joined_ || !tokens_.renews() || token.exit_code == kExitRefused) {
      return End(token.exit_code, token.error) != Next::kEnd;
    }
    if (!WaitToReconnect(token.error)) return false;
  }
  token_ = token.token;
  LookAtToken();
  follower_.Disconnected();
  is_joined_ = false;
  token_on_trial_ = false;
  connection_ = std::make_unique<SyncConnection>(options_.server.endpoint, options_.server.tls,
                                                 options_.max_message_bytes, &follower_);
  connection_->Start(token_);
  return true;
}

// When to get another token: some time before this one ends, and early enough in the life of a short one.
void Tail::LookAtToken() {
  renew_at_ms_ = 0;
  const auto expiry = TokenExpiry(token_);
  if (!expiry || !tokens_.renews()) return;
  const int64_t now = SystemClock().WallMs();
  const int64_t left = *expiry * 1000 - now;
  renew_at_ms_ = now + std::max<int64_t>(left - std::min(kRenewBeforeMs, left / 3), kRenewRetryMs);
}

int Tail::WaitMs() const {
  int64_t wait = kIdleMs;
  if (!options_.follow && is_joined_) wait = kAskPlaceMs;
  if (cursor_file_.has_changed()) wait = std::min(wait, std::max<int64_t>(0, next_save_ms_ - NowMs()));
  // Before a join, and while a token is on trial, nothing can be renewed.
  const bool renews = renew_at_ms_ != 0 && is_joined_ && !token_on_trial_;
  if (renews) wait = std::min(wait, std::max<int64_t>(0, renew_at_ms_ - SystemClock().WallMs()));
  return static_cast<int>(wait);
}

Tail::Next Tail::Serve() {
  for (;;) {
    if (StopSignal() != 0) return End(kExitSignal + StopSignal());
    SyncEvent event = connection_->Next(WaitMs());
    Next next = OnEvent(&event);
    if (next == Next::kGoOn) next = SaveCursors(false);
    if (next != Next::kGoOn) return next;
    if (renew_at_ms_ != 0 && SystemClock().WallMs() >= renew_at_ms_) RenewToken();
    if (output_.ReaderIsGone()) return End(kExitOk);
    if (!is_joined_) continue;
    const bool at_targets = follower_.AtTargets();
    // With nothing to come. A join alone is no success: what cannot be taken may come right behind it, every time.
    if (follower_.Behind() == 0) backoff_.Succeeded();
    if (!options_.follow && at_targets) return End(kExitOk);
    if (!options_.follow && event.kind == Kind::kNothing) connection_->AskHeartbeat();
    if (at_targets && !was_live_) notices_.Mention("up to date");
    was_live_ = was_live_ || at_targets;
    ShowProgress();
  }
}

Tail::Next Tail::OnEvent(SyncEvent* event) {
  switch (event->kind) {
    case Kind::kNothing:
      return Next::kGoOn;
    case Kind::kJoined:
      is_joined_ = true;
      notices_.Mention("joined " + options_.server.endpoint.Authority() + ", " + std::to_string(follower_.Behind()) +
                       " events behind");
      if (was_joined_ && backoff_.failures() > 0) notices_.Say("connected again");
      was_joined_ = true;
      NoteBeginnings();
      return Next::kGoOn;
    case Kind::kBatch:
      return OnBatch(event->batch);
    case Kind::kStale:
      return OnStale(event->payload);
    case Kind::kTokenExpiring:
      if (!tokens_.renews()) {
        notices_.Say("the token is about to end, and OA_SYNC_TOKEN does not change: give --token-file or --keyring");
      }
      RenewToken();
      return Next::kGoOn;
    case Kind::kTokenAccepted:
      token_on_trial_ = false;
      LookAtToken();
      notices_.Mention("authenticated anew");
      return Next::kGoOn;
    case Kind::kTokenRefused:
      token_on_trial_ = false;
      notices_.Say("the new token was not accepted: " + event->text);
      renew_at_ms_ = SystemClock().WallMs() + kRenewRetryMs;
      return Next::kGoOn;
    default:
      return OnEndOfConnection(*event);
  }
}

// Where the topics begin is a place too: who comes back before the first event begins there again. Not with a time in
// --since, which has to be looked at anew until the first event.
void Tail::NoteBeginnings() {
  if (options_.cursor_file.empty()) return;
  for (const auto& [name, topic] : follower_.topics()) {
    if (topic.cursor && timed_.count(name) == 0) cursor_file_.Set(name, *topic.cursor);
  }
}

void Tail::RenewToken() {
  if (!tokens_.renews() || token_on_trial_ || !is_joined_) return;
  const TokenResult token = tokens_.Get();
  if (token.token.empty() || token.token == token_) {
    // Not there yet. The server closes the socket when its patience ends.
    if (token.token.empty()) notices_.Mention(token.error);
    renew_at_ms_ = SystemClock().WallMs() + kRenewRetryMs;
    return;
  }
  token_ = token.token;
  renew_at_ms_ = 0;
  token_on_trial_ = true;
  connection_->Reauthenticate(token_);
}

Tail::Next Tail::OnBatch(const UpdateBatch& batch) {
  const std::string& topic = batch.updates(0).topic();
  const Follower::Outcome outcome = follower_.Judge(batch);
  switch (outcome.verdict) {
    case Follower::Verdict::kKnown:
    case Follower::Verdict::kIgnore:
      return Next::kGoOn;
    case Follower::Verdict::kMalformed:
      return OnEndOfConnection({Kind::kBroken, "the server sent a batch before its topic was subscribed to", {}, {}});
    case Follower::Verdict::kGap:
      notices_.Mention("a gap on " + topic + ": subscribing again from the cursor");
      connection_->Resubscribe(topic);
      return Next::kGoOn;
    case Follower::Verdict::kApply:
      break;
  }
  resyncs_in_a_row_ = 0;
  return PrintUpdates(batch, outcome.first);
}

bool Tail::IsShown(const openagents::sync::v1::Update& update) const {
  if (timed_.count(update.topic()) != 0 && update.inserted_at_us() < options_.start.time_us) return false;
  return options_.filter.Shows(update);
}

Tail::Next Tail::PrintUpdates(const UpdateBatch& batch, int first) {
  const std::string& topic = batch.updates(0).topic();
  notices_.ClearProgress();
  size_t bytes = 0;
  uint64_t through = batch.through_watermark();
  bool is_last = false;
  for (int i = first; i < batch.updates_size() && !is_last; ++i) {
    const auto& update = batch.updates(i);
    ++passed_;
    if (!IsShown(update)) continue;
    const std::string line = format_.Update(update);
    output_.Add(line);
    bytes += line.size();
    is_last = ++printed_ == options_.count;
    // What follows in the batch was not printed: the cursor stays at the last one that was.
    if (is_last) through = update.watermark();
    if (bytes < kFlushBytes) continue;
    bytes = 0;
    if (const Next next = Flush(); next != Next::kGoOn) return next;
  }
  if (const Next next = Flush(); next != Next::kGoOn) return next;
  follower_.Advance(topic, through);
  backoff_.Succeeded();
  if (!options_.cursor_file.empty()) cursor_file_.Set(topic, *follower_.topics().at(topic).cursor);
  return is_last ? End(kExitOk) : Next::kGoOn;
}

Tail::Next Tail::Flush() {
  switch (output_.Flush()) {
    case OutputState::kOpen:
      return Next::kGoOn;
    case OutputState::kClosed:
      return End(StopSignal() == 0 ? kExitOk : kExitSignal + StopSignal());
    case OutputState::kFailed:
      break;
  }
  return End(kExitLocalFile, "standard output cannot be written: " + output_.error());
}

Tail::Next Tail::SaveCursors(bool now) {
  if (!cursor_file_.has_changed() || (!now && NowMs() < next_save_ms_)) return Next::kGoOn;
  next_save_ms_ = NowMs() + kSaveEveryMs;
  // On disk before the cursor that says so is.
  if (output_.Sync() != OutputState::kOpen) {
    return End(kExitLocalFile, "standard output cannot be written: " + output_.error());
  }
  const std::string error = cursor_file_.Save();
  return error.empty() ? Next::kGoOn : End(kExitLocalFile, "--cursor: " + error);
}

Tail::Next Tail::OnStale(const Json& stale) {
  std::string text;
  for (const Json& topic : Member(stale, "stale_topics")) {
    text += (text.empty() ? "" : "; ") + TextMember(topic, "topic") + ": " + TextMember(topic, "reason");
  }
  if (text.empty()) text = "the server does not say which";
  if (!options_.resync) {
    return End(kExitStale, "the cursor cannot be resumed (" + text +
                               "). --resync begins anew from a snapshot; --since beginning without a cursor file from "
                               "what is still kept");
  }
  if (++resyncs_in_a_row_ > kMaxResyncsInARow) {
    return End(kExitStale, "the cursor is stale again right after each new beginning (" + text + "): giving up");
  }
  notices_.Say("the cursor cannot be resumed (" + text + "): beginning anew");
  connection_->Close();
  was_joined_ = true;  // but for the cursor: this server is one, and takes the token
  const Json& plan = Member(Member(stale, "snapshot_plan"), "topics");
  for (const Json& topic : Member(stale, "stale_topics")) {
    const auto planned = std::find_if(plan.begin(), plan.end(), [&topic](const Json& one) {
      return TextMember(one, "topic") == TextMember(topic, "topic");
    });
    Json one = topic;
    if (planned != plan.end()) one["snapshot"] = Member(*planned, "snapshot");
    if (const Next next = Resync(one); next != Next::kGoOn) return next;
  }
  return Next::kReconnect;
}

Tail::Next Tail::Resync(const Json& stale) {
  const std::string topic = TextMember(stale, "topic");
  const std::string reason = TextMember(stale, "reason");
  if (follower_.topics().count(topic) == 0) return Next::kGoOn;
  const Json& snapshot = Member(stale, "snapshot");
  if (TextMember(snapshot, "source") == "journal") return Restart(topic, reason, snapshot);
  bool no_source = false;
  const Next next = ResyncFromDocuments(topic, reason, &no_source);
  // A topic without documents: all that is still kept of it has to do.
  return no_source ? Restart(topic, reason, snapshot) : next;
}

// From an earlier place in the journal that brings everything there is.
Tail::Next Tail::Restart(const std::string& topic, const std::string& reason, const Json& snapshot) {
  const auto watermark = ReadInteger(Member(snapshot, "resume_after"));
  const auto epoch = ReadInteger(Member(snapshot, "epoch"));
  std::optional<Cursor> cursor;
  if (watermark) cursor = Cursor{epoch.value_or(0), *watermark};
  follower_.Restart(topic, cursor);
  output_.Add(format_.Resync(topic, reason, cursor.value_or(Cursor{})));
  return Flush();
}

Tail::Next Tail::ResyncFromDocuments(const std::string& topic, const std::string& reason, bool* no_source) {
  const ServerOptions& server = options_.server;
  const SnapshotReader reader(HttpClient(server.endpoint, server.tls, server.timeout_ms), tokens_);
  Cursor cursor;
  bool stopped = false;  // by Flush, which has said why
  const RequestResult result = reader.Read(topic, 0, [&](const SnapshotPage& page) {
    cursor = page.cursor;
    if (page.is_first) output_.Add(format_.Resync(topic, reason, page.cursor));
    for (const auto& document : page.documents) output_.Add(format_.Document(topic, document, page.cursor));
    stopped = Flush() != Next::kGoOn;
    return !stopped;
  });
  // Not all of it was printed: the place stays where it was.
  if (stopped) return Next::kEnd;
  if (StopSignal() != 0) return End(kExitSignal + StopSignal());
  *no_source = result.no_source;
  if (*no_source) return Next::kGoOn;
  if (result.is_lost) {
    --resyncs_in_a_row_;  // the server goes away, which says nothing about the new beginning
    return WaitToReconnect(result.error) ? Next::kReconnect : Next::kEnd;
  }
  if (!result.error.empty()) return End(result.exit_code, result.error);
  follower_.Restart(topic, cursor);
  if (!options_.cursor_file.empty()) cursor_file_.Set(topic, cursor);
  return SaveCursors(true);
}

Tail::Next Tail::OnEndOfConnection(const SyncEvent& event) {
  const Advice& advice = connection_->advice();
  if (advice.base_ms) backoff_.Advise(*advice.base_ms, advice.jitter_ms.value_or(0));
  if (advice.once_ms) backoff_.AdviseOnce(*advice.once_ms);
  const std::string server = options_.server.endpoint.Authority();
  switch (event.kind) {
    case Kind::kUnauthorized:
      return OnUnauthorized(event);
    case Kind::kRefused:
      return End(kExitRefused, server + ": " + event.text);
    case Kind::kBroken:
      if (!was_joined_) return End(kExitBadAnswer, server + ": " + event.text);
      if (backoff_.failures() >= options_.retries) return End(kExitBadAnswer, server + ": " + event.text);
      break;
    default:
      // Who was never there is more likely misspelt than restarting.
      if (!was_joined_ && event.kind != Kind::kBusy) return End(kExitCannotConnect, server + ": " + event.text);
      break;
  }
  return WaitToReconnect(event.text) ? Next::kReconnect : Next::kEnd;
}

// Another token may be there by now; the same one is refused again. Of a source that makes them every one is another:
// when none was ever accepted, none will be. A file may have been replaced since it was read.
Tail::Next Tail::OnUnauthorized(const SyncEvent& event) {
  bool again = tokens_.renews();
  if (!was_joined_) again = !options_.server.token.token_file.empty() && backoff_.failures() == 0;
  if (again) {
    const TokenResult token = tokens_.Get();
    again = token.token.empty() ? was_joined_ && token.exit_code != kExitRefused : token.token != token_;
  }
  if (!again || backoff_.failures() >= options_.retries) {
    return End(kExitRefused, options_.server.endpoint.Authority() + ": the token is not accepted: " + event.text);
  }
  return WaitToReconnect("the token is not accepted: " + event.text) ? Next::kReconnect : Next::kEnd;
}

bool Tail::WaitToReconnect(const std::string& why) {
  const bool was_there = is_joined_;
  is_joined_ = false;
  if (connection_) connection_->Close();
  if (SaveCursors(true) != Next::kGoOn) return false;
  if (backoff_.failures() >= options_.retries) {
    const int exit_code = was_joined_ ? kExitLost : kExitCannotConnect;
    return End(exit_code, options_.server.endpoint.Authority() + ": " + why + "; giving up after " +
                              std::to_string(backoff_.failures()) + " attempts (--retries)") != Next::kEnd;
  }
  const int64_t wait = backoff_.Next();
  notices_.Say((was_there ? "connection lost: " : "not connected: ") + why + "; connecting again in " + Seconds(wait));
  Pause(wait);
  if (output_.ReaderIsGone()) return End(kExitOk) != Next::kEnd;
  return true;
}

void Tail::Pause(int64_t wait_ms) {
  const int64_t until = NowMs() + wait_ms;
  while (StopSignal() == 0 && NowMs() < until && !output_.ReaderIsGone()) {
    poll(nullptr, 0, static_cast<int>(std::clamp<int64_t>(until - NowMs(), 1, kLookForStopMs)));
  }
}

void Tail::ShowProgress() {
  if (!notices_.shows_progress()) return;
  const uint64_t behind = follower_.Behind();
  if (behind == 0) return notices_.ClearProgress();
  const int64_t now = NowMs();
  if (behind < kLongReplay || now < next_progress_ms_) return;
  next_progress_ms_ = now + kProgressEveryMs;
  const double seconds = std::max<double>(0.001, static_cast<double>(now - began_ms_) / 1000);
  const double rate = static_cast<double>(passed_) / seconds;
  const double share = static_cast<double>(passed_) / static_cast<double>(passed_ + behind);
  std::array<char, 128> text;
  snprintf(text.data(), text.size(), "%3.0f %%  %llu events, %llu to go, %.0f/s", share * 100,
           static_cast<unsigned long long>(passed_), static_cast<unsigned long long>(behind), rate);
  notices_.Progress(text.data());
}

}  // namespace oasync::terminal
