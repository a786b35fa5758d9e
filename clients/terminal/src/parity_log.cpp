#include "parity_log.h"

#include <unistd.h>

#include <cstdio>
#include <ctime>

#include "base/clock.h"
#include "escape.h"
#include "output.h"

namespace oasync::terminal {
namespace {

using nlohmann::json;

// "2026-11-23T05:46:04.123Z"
std::string Now() {
  const int64_t ms = SystemClock().WallMs();
  const time_t seconds = ms / 1000;
  tm when{};
  gmtime_r(&seconds, &when);
  char text[40];
  const size_t n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &when);
  std::snprintf(text + n, sizeof(text) - n, ".%03dZ", static_cast<int>(ms % 1000));
  return text;
}

json OrNull(const std::optional<int64_t>& number) { return number ? json(*number) : json(); }
json OrNull(const std::string& text) { return text.empty() ? json() : json(text); }

// A value behind "name=": bare where that is clear, else in quotes.
std::string Value(const json& value) {
  if (!value.is_string()) return value.dump();
  const auto& text = value.get_ref<const std::string&>();
  const bool bare = !text.empty() && text.find_first_of(" \t\r\n\"=") == std::string::npos;
  return EscapeForTerminal(bare ? text : value.dump(-1, ' ', false, json::error_handler_t::replace));
}

}  // namespace

void ParityLog::Write(const char* event, const char* level, const Fields& fields) const {
  std::string line;
  if (json_) {
    json object = {{"ts", Now()}, {"level", level}, {"event", event}};
    for (const auto& [name, value] : fields) object[name] = value;
    line = EscapeForTerminal(object.dump(-1, ' ', false, json::error_handler_t::replace));
  } else {
    line = Now() + " " + level + " " + event;
    for (const auto& [name, value] : fields) {
      if (!value.is_null()) line += " " + name + "=" + Value(value);
    }
  }
  Output output(STDERR_FILENO);
  output.Add(line);
  output.Flush();
}

void ParityLog::Mismatch(const ParityLane& lane, const ParityMismatch& mismatch) const {
  if (quiet_) return;
  Write("parity.mismatch", "warn",
        {{"lane", lane.name},
         {"topic", mismatch.topic},
         {"doc_key", mismatch.doc_key},
         {"reason", ParityReasonName(mismatch.reason)},
         {"compared", ComparedName(mismatch.first.compared)},
         {"booked_to", mismatch.first.booked_to},
         {"authority", lane.authority},
         {"reference_version", OrNull(mismatch.first.reference.version)},
         {"other_version", OrNull(mismatch.first.other.version)},
         {"reference_hash", OrNull(mismatch.first.reference.hash)},
         {"other_hash", OrNull(mismatch.first.other.hash)},
         {"watermark", mismatch.watermark == 0 ? json() : json(mismatch.watermark)},
         {"detail", mismatch.detail}});
}

void ParityLog::Audit(const ParityLane& lane, const ParityReport& report) const {
  if (report.busy) {
    if (!quiet_) Write("parity.busy", "info", {{"lane", lane.name}, {"detail", "another auditor is at this lane"}});
    return;
  }
  if (!report.error.empty()) {
    Write("parity.failed", "error", {{"lane", lane.name}, {"error", report.error}});
    return;
  }
  if (!report.wire_error.empty())
    Write("parity.wire_failed", "error", {{"lane", lane.name}, {"error", report.wire_error}});
  if (quiet_) return;
  Write("parity.audited", "info",
        {{"lane", lane.name},
         {"checked", report.checked()},
         {"mismatched", report.mismatched()},
         {"journal_checked", report.journal_checked},
         {"wire_checked", report.wire_checked},
         {"unanswered", report.unanswered},
         {"last_unanswered", OrNull(report.last_unanswered)},
         {"seconds", report.seconds},
         {"seed", report.seed}});
}

void ParityLog::Say(const char* event, const char* level, const std::string& text) const {
  if (!quiet_ || std::string(level) == "error") Write(event, level, {{"detail", text}});
}

}  // namespace oasync::terminal
