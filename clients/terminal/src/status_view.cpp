#include "status_view.h"

#include <array>
#include <cstdio>
#include <optional>

#include "escape.h"
#include "event_format.h"
#include "phoenix_channel.h"

namespace oasync::terminal {
namespace {

double NumberOf(const Json& value) {
  if (value.is_number()) return value.get<double>();
  return static_cast<double>(ReadInteger(value).value_or(0));
}

std::string Printf(const char* format, double number) {
  std::array<char, 64> text;
  snprintf(text.data(), text.size(), format, number);
  return text.data();
}

// 1234567 as "1.2 M".
std::string Short(double number) {
  if (number >= 1e9) return Printf("%.1f G", number / 1e9);
  if (number >= 1e6) return Printf("%.1f M", number / 1e6);
  if (number >= 1e4) return Printf("%.1f k", number / 1e3);
  return Printf("%.0f", number);
}

std::string Duration(double seconds) {
  if (seconds >= 2 * 86400) return Printf("%.0f d", seconds / 86400);
  if (seconds >= 2 * 3600) return Printf("%.0f h", seconds / 3600);
  if (seconds >= 120) return Printf("%.0f min", seconds / 60);
  return Printf("%.1f s", seconds);
}

// What anybody sent, as it may be shown.
std::string Text(const Json& value) {
  if (value.is_string()) return EscapeForTerminal(value.get_ref<const std::string&>());
  if (value.is_null()) return "-";
  return EscapeForTerminal(value.dump(-1, ' ', false, Json::error_handler_t::replace));
}

// A counter of `totals` a second since the look before; nothing without one, or when the server started anew between.
std::optional<double> Rate(const StatusLook& look, const StatusLook* before, const char* counter) {
  if (before == nullptr || !before->overview.is_object() || !look.overview.is_object()) return std::nullopt;
  const double seconds = static_cast<double>(look.at_us - before->at_us) / 1e6;
  const double more = NumberOf(Member(Member(look.overview, "totals"), counter)) -
                      NumberOf(Member(Member(before->overview, "totals"), counter));
  if (seconds <= 0 || more < 0) return std::nullopt;
  return more / seconds;
}

std::string RateText(const StatusLook& look, const StatusLook* before, const char* counter, const char* unit) {
  const auto rate = Rate(look, before, counter);
  if (rate) return Short(*rate) + " " + unit + "/s";
  return Short(NumberOf(Member(Member(look.overview, "totals"), counter))) + " " + unit;
}

// The latency below which so large a share of the observations is, from a histogram of cumulative counts.
std::string Quantile(const Json& latency, double share) {
  const Json& bounds = Member(latency, "buckets_ms");
  const Json& counts = Member(latency, "counts");
  const double count = NumberOf(Member(latency, "count"));
  if (!bounds.is_array() || !counts.is_array() || count == 0) return "-";
  for (size_t i = 0; i < bounds.size() && i < counts.size(); ++i) {
    if (NumberOf(counts[i]) >= share * count) return "<= " + Printf("%g ms", NumberOf(bounds[i]));
  }
  return "longer than " + (bounds.empty() ? std::string("-") : Printf("%g ms", NumberOf(bounds.back())));
}

std::string Row(const Painter& paint, const char* name, const std::string& value) {
  std::string label = name;
  label.resize(14, ' ');
  return paint(Colour::kDim, label) + value + "\n";
}

std::string TailText(const Json& tail) {
  std::string text = Text(Member(tail, "mode"));
  if (const Json& reason = Member(tail, "reason");
      reason.is_string() && !reason.get_ref<const std::string&>().empty()) {
    text += " (" + Text(reason) + ")";
  }
  if (const Json& slot = Member(tail, "slot"); slot.is_object()) {
    text += ", slot " + Text(Member(slot, "name")) + " holds back " +
            Short(NumberOf(Member(slot, "retained_wal_bytes"))) + "B";
  }
  return text;
}

std::string OverviewRows(const StatusLook& look, const StatusLook* before, const Painter& paint) {
  const Json& overview = look.overview;
  const Json& server = Member(overview, "server");
  const Json& connections = Member(overview, "connections");
  const Json& lag = Member(overview, "lag");
  const Json& database = Member(overview, "database");
  std::string rows;
  rows += Row(paint, "version",
              Text(Member(server, "version")) + ", up " +
                  Duration((NumberOf(Member(server, "now")) - NumberOf(Member(server, "started_at"))) / 1000));
  rows += Row(paint, "tail", TailText(Member(overview, "tail")));
  rows += Row(paint, "connections",
              Short(NumberOf(Member(connections, "open"))) + " of " + Short(NumberOf(Member(connections, "limit"))) +
                  ", " + Short(NumberOf(Member(connections, "joined"))) + " joined");
  rows += Row(paint, "events",
              "in " + RateText(look, before, "events_in", "events") + ", out " +
                  RateText(look, before, "events_out", "events") + ", " + RateText(look, before, "bytes_out", "B"));
  const Json& latency = Member(overview, "latency");
  rows +=
      Row(paint, "latency", "commit to socket: half " + Quantile(latency, 0.5) + ", 99 % " + Quantile(latency, 0.99));
  rows += Row(paint, "lag",
              Short(NumberOf(Member(lag, "events_max"))) + " events, " +
                  Duration(NumberOf(Member(lag, "seconds_max"))) + " at most");
  if (database.is_object()) {
    rows +=
        Row(paint, "database",
            Member(database, "reachable") == Json(true)
                ? "PostgreSQL " + Text(Member(database, "server_version")) + ", oa_sync " +
                      Text(Member(database, "extension_version")) +
                      (Member(database, "worker_pid").is_null() ? paint(Colour::kRed, ", no worker") : ", worker runs")
                : paint(Colour::kRed, "not reachable"));
  }
  return rows;
}

std::string ProblemRows(const Json& problems, const Painter& paint) {
  std::string rows;
  for (const Json& problem : problems) {
    const bool critical = TextMember(problem, "severity") == "critical";
    rows += paint(critical ? Colour::kRed : Colour::kYellow, critical ? "problem" : "warning") + "  " +
            Text(Member(problem, "what")) + "\n         " + Text(Member(problem, "todo")) + "\n";
  }
  return rows;
}

std::string HeadRows(const StatusLook& look, const Painter& paint) {
  if (!look.heads_error.empty()) return Row(paint, "heads", paint(Colour::kRed, EscapeForTerminal(look.heads_error)));
  std::string rows;
  for (const Json& head : look.heads) {
    rows += Row(paint, rows.empty() ? "heads" : "",
                Text(Member(head, "topic")) + "  " + Text(Member(head, "head_watermark")) + "  floor " +
                    Text(Member(head, "retention_floor")) + "  epoch " + Text(Member(head, "epoch")));
  }
  return rows;
}

std::string Health(const StatusLook& look) {
  if (!look.reachable) return "not reachable: " + EscapeForTerminal(look.reason);
  return std::string(look.ready ? "ready" : "not ready") +
         (look.reason.empty() ? "" : ": " + EscapeForTerminal(look.reason));
}

}  // namespace

Json StatusLook::ToJson() const {
  return {{"at", FormatTime(at_us)},
          {"server", server},
          {"reachable", reachable},
          {"ready", ready},
          {"reason", reason.empty() ? Json() : Json(reason)},
          {"overview", overview},
          {"heads", heads},
          {"heads_error", heads_error.empty() ? Json() : Json(heads_error)}};
}

std::string ShowStatus(const StatusLook& look, const StatusLook* before, const Painter& paint) {
  std::string text = paint(Colour::kBold, EscapeForTerminal(look.server)) + "  " +
                     paint(look.ready ? Colour::kGreen : Colour::kRed, Health(look)) + "  " +
                     paint(Colour::kDim, FormatTime(look.at_us)) + "\n";
  if (look.overview.is_object()) {
    text += OverviewRows(look, before, paint);
    text += ProblemRows(Member(Member(look.overview, "health"), "problems"), paint);
  }
  return text + HeadRows(look, paint);
}

std::string ShowStatusLine(const StatusLook& look, const StatusLook* before) {
  std::string text = FormatTime(look.at_us) + "  " + EscapeForTerminal(look.server) + "  " + Health(look);
  if (look.overview.is_object()) {
    const Json& lag = Member(look.overview, "lag");
    text += "  tail " + Text(Member(Member(look.overview, "tail"), "mode")) + "  connections " +
            Text(Member(Member(look.overview, "connections"), "open")) + "  in " +
            RateText(look, before, "events_in", "events") + "  out " + RateText(look, before, "events_out", "events") +
            "  lag " + Short(NumberOf(Member(lag, "events_max"))) + " events";
  }
  for (const Json& head : look.heads) {
    text += "  " + Text(Member(head, "topic")) + " " + Text(Member(head, "head_watermark"));
  }
  if (!look.heads_error.empty()) text += "  " + EscapeForTerminal(look.heads_error);
  return text + "\n";
}

}  // namespace oasync::terminal
