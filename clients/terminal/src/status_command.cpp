#include "status_command.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "auth/strict_json.h"
#include "base/clock.h"
#include "base/percent.h"
#include "escape.h"
#include "exit_code.h"
#include "http_client.h"
#include "output.h"
#include "phoenix_channel.h"
#include "snapshot_reader.h"
#include "status_view.h"
#include "stop.h"

namespace oasync::terminal {
namespace {

constexpr char kClear[] = "\x1b[H\x1b[2J";

class Status {
 public:
  explicit Status(const StatusOptions& options)
      : options_(options),
        http_(options.server.endpoint, options.server.tls, options.server.timeout_ms),
        tokens_(options.server.token, http_) {
    if (!options.admin_url.empty()) admin_.emplace(options.admin, options.server.tls, options.server.timeout_ms);
  }

  StatusLook Look() {
    exit_code_ = kExitOk;
    StatusLook look;
    look.at_us = SystemClock::WallUs();
    look.server = (admin_ ? *admin_ : http_).endpoint().HttpUrl();
    LookAtReadiness(&look);
    if (look.reachable && admin_) LookAtOverview(&look);
    if (look.reachable && !options_.topics.empty()) LookAtHeads(&look);
    return look;
  }
  // Of the last look.
  int exit_code() const { return exit_code_; }

 private:
  void Note(int exit_code) {
    if (exit_code_ == kExitOk) exit_code_ = exit_code;
  }

  void LookAtReadiness(StatusLook* look) {
    const HttpOutcome outcome = (admin_ ? *admin_ : http_).Get("/readyz", {});
    look->reachable = outcome.response.has_value();
    look->ready = outcome.Is(200);
    if (!outcome.response) {
      look->reason = outcome.error;
      return Note(ExitCodeOf(outcome));
    }
    if (look->ready) return;
    // The admin listener says why; anything but 503 is no fan-out.
    look->reason = TextMember(ParseStrictJson(outcome.response->body), "reason");
    if (look->reason.empty() && !outcome.Is(503)) look->reason = DescribeError(*outcome.response);
    Note(outcome.Is(503) ? kExitProblem : kExitBadAnswer);
  }

  // Without a key the admin listener still says whether it is ready, and why not.
  void LookAtOverview(StatusLook* look) {
    std::string error;
    const std::string key = ReadServiceKey(options_.key_file, &error);
    if (key.empty()) {
      if (!options_.key_file.empty()) {
        look->reason = error;
        Note(kExitUsage);
      }
      return;
    }
    const HttpOutcome outcome = admin_->Get("/api/admin/overview", key);
    if (!outcome.Is(200)) {
      look->reason = "overview: " + (outcome.response ? DescribeError(*outcome.response) : outcome.error);
      return Note(ExitCodeOf(outcome));
    }
    look->overview = ParseStrictJson(outcome.response->body);
    if (look->overview.is_object()) return;
    look->overview = nullptr;
    look->reason = "the overview is no JSON object";
    Note(kExitBadAnswer);
  }

  void LookAtHeads(StatusLook* look) {
    const TokenResult token = tokens_.Get();
    if (token.token.empty()) {
      look->heads_error = token.error;
      return Note(token.exit_code);
    }
    std::string path = "/api/sync/heads";
    for (const std::string& topic : options_.topics) {
      path += (&topic == &options_.topics[0] ? "?topic=" : "&topic=") + PercentEncode(topic);
    }
    const HttpOutcome outcome = http_.Get(path, token.token);
    if (outcome.Is(200)) {
      look->heads = Member(ParseStrictJson(outcome.response->body), "heads");
      if (look->heads.is_array()) return;
      look->heads = nullptr;
    }
    look->heads_error = outcome.response ? DescribeError(*outcome.response) : outcome.error;
    Note(outcome.Is(200) ? kExitBadAnswer : ExitCodeOf(outcome));
  }

  const StatusOptions& options_;
  const HttpClient http_;
  const TokenSource tokens_;
  std::optional<HttpClient> admin_;
  int exit_code_ = kExitOk;
};

void Pause(double seconds, const Output& output) {
  const SystemClock clock;
  const int64_t until = clock.SteadyMs() + static_cast<int64_t>(seconds * 1000);
  while (StopSignal() == 0 && clock.SteadyMs() < until && !output.ReaderIsGone()) {
    poll(nullptr, 0, static_cast<int>(std::clamp<int64_t>(until - clock.SteadyMs(), 1, kLookForStopMs)));
  }
}

}  // namespace

int RunStatus(const CommonOptions& common, const StatusOptions& options) {
  Output output(STDOUT_FILENO);
  const Painter paint(WantsColour(common.colour, STDOUT_FILENO));
  const bool redraws = options.watch && IsTerminal(STDOUT_FILENO) && !options.json;
  Status status(options);
  std::optional<StatusLook> before;
  for (;;) {
    StatusLook look = status.Look();
    if (StopSignal() != 0) return kExitSignal + StopSignal();
    const StatusLook* earlier = before ? &*before : nullptr;
    if (options.json) {
      const std::string line = look.ToJson().dump(-1, ' ', false, Json::error_handler_t::replace);
      output.Add(IsTerminal(STDOUT_FILENO) ? EscapeForTerminal(line) : line);
    } else if (options.watch && !redraws) {
      output.AddRaw(ShowStatusLine(look, earlier));
    } else {
      output.AddRaw((redraws ? kClear : "") + ShowStatus(look, earlier, paint));
    }
    const OutputState state = output.Flush();
    if (state == OutputState::kFailed) {
      SayError("standard output cannot be written: " + output.error());
      return kExitLocalFile;
    }
    if (state == OutputState::kClosed) return kExitOk;
    if (!options.watch) return status.exit_code();
    before = std::move(look);
    Pause(options.interval_s, output);
    if (StopSignal() != 0) return kExitSignal + StopSignal();
    if (output.ReaderIsGone()) return kExitOk;
  }
}

}  // namespace oasync::terminal
