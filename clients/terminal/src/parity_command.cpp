#include "parity_command.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>
#include <random>

#include "base/clock.h"
#include "escape.h"
#include "exit_code.h"
#include "output.h"
#include "parity_audit.h"
#include "parity_earlier.h"
#include "parity_gate.h"
#include "parity_lane.h"
#include "parity_log.h"
#include "parity_wire.h"
#include "stop.h"

namespace oasync::terminal {
namespace {

constexpr char kUndefinedFunction[] = "42883";
constexpr char kUndefinedTable[] = "42P01";
// A statement of an audit reads documents of a sample, never a whole table.
constexpr char kSettings[] = "SELECT set_config('statement_timeout', '30s', false)";
// How long a subscriber may wait for an event that is in the journal.
constexpr int64_t kWireWithinMs = 10000;

// What went wrong before anything was looked at.
struct Trouble {
  int exit_code = kExitOk;
  std::string text;
};

// The database with what every action needs of it.
class ParityDatabase {
 public:
  explicit ParityDatabase(const ParityOptions& options) : options_(options) {}

  Trouble Connect() {
    connected_ = false;
    if (const std::string error = db_.Connect(options_.database, "oa-sync parity"); !error.empty()) {
      return {kExitCannotConnect, "the database: " + error};
    }
    db_.Query(kSettings);
    const auto found = db_.Query(
        "SELECT quote_ident(n.nspname), e.extversion FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace "
        "WHERE e.extname = 'oa_sync'");
    if (!found.ok()) return {kExitCannotConnect, "the database: " + found.error};
    if (found.rows.empty()) return {kExitUsage, "this database does not have the extension oa_sync"};
    schema_ = found.Text(0);
    connected_ = true;
    return {};
  }

  // The lanes, with what was found in the window.
  Trouble Read(std::vector<ParityLane>* lanes) {
    const auto result =
        db_.Query("SELECT " + schema_ + ".sync_parity_overview($1::double precision * interval '1 millisecond')",
                  {std::to_string(options_.window_ms)});
    if (!result.ok()) return Explain(result);
    auto parsed = ParseLanes(result.Text(0));
    if (!parsed) return {kExitBadAnswer, "sync_parity_overview() returned what cannot be read"};
    *lanes = std::move(*parsed);
    return {};
  }

  bool connected() const { return connected_; }
  void Lost() { connected_ = false; }
  Database& db() { return db_; }
  const std::string& schema() const { return schema_; }

 private:
  Trouble Explain(const DatabaseResult& result) {
    if (result.sqlstate == kUndefinedFunction || result.sqlstate == kUndefinedTable) {
      return {kExitUsage, "the extension of this database has no parity lanes: ALTER EXTENSION oa_sync UPDATE"};
    }
    if (result.denied()) {
      return {kExitUsage, result.error + ": SELECT " + schema_ + ".sync_grant_auditor('ROLE')"};
    }
    connected_ = false;
    return {kExitCannotConnect, "the database: " + result.error};
  }

  const ParityOptions& options_;
  Database db_;
  std::string schema_;
  bool connected_ = false;
};

// The host and port that a token would go to.
std::string ServerOf(const ParityLane& lane) {
  std::string unused;
  const size_t authority = lane.address.find("://");
  const auto endpoint = ParseEndpoint(lane.address.substr(0, lane.address.find('/', authority + 3)), &unused);
  return endpoint ? (endpoint->tls ? "https://" : "http://") + endpoint->Authority() : lane.address;
}

class Auditor {
 public:
  Auditor(const CommonOptions& common, const ParityOptions& options)
      : options_(options),
        database_(options),
        log_(options.log_format == "json", common.quiet),
        output_(STDOUT_FILENO) {}

  int Once();
  int Forever();

 private:
  struct Done {
    ParityLane lane;
    ParityReport report;
  };

  Trouble Choose(std::vector<ParityLane>* lanes);
  Trouble Pass(std::vector<Done>* done);
  ParityReport AuditLane(const ParityLane& lane, const WireProbe* wire);
  int64_t Seed() const;
  void Print(const std::vector<Done>& done);
  bool Flush();

  const ParityOptions& options_;
  ParityDatabase database_;
  const ParityLog log_;
  Output output_;
};

int64_t Auditor::Seed() const {
  int64_t seed = 0;
  if (!options_.seed.empty()) {
    std::from_chars(options_.seed.data(), options_.seed.data() + options_.seed.size(), seed);
    return seed;
  }
  std::random_device device;
  return static_cast<int64_t>((uint64_t{device()} << 31 | device()) >> 1 & 0x1fffffffffffffU);
}

Trouble Auditor::Choose(std::vector<ParityLane>* lanes) {
  if (!database_.connected()) {
    if (Trouble trouble = database_.Connect(); trouble.exit_code != kExitOk) return trouble;
  }
  std::vector<ParityLane> all;
  if (Trouble trouble = database_.Read(&all); trouble.exit_code != kExitOk) return trouble;
  std::string unknown;
  *lanes = SelectLanes(std::move(all), options_.lanes, /*only_enabled=*/true, &unknown);
  if (!unknown.empty()) return {kExitUsage, "--lane: there is no lane " + unknown};
  std::string server;
  for (ParityLane& lane : *lanes) {
    if (!lane.enabled)
      return {kExitUsage,
              "lane " + lane.name + " is not enabled: sync_parity_set_lane('" + lane.name + "', enabled => true)"};
    if (options_.samples > 0) lane.samples = options_.samples;
    if (lane.adapter != "http" || options_.earlier_token_file.empty()) continue;
    if (!server.empty() && server != ServerOf(lane)) {
      return {kExitUsage, "--earlier-token-file: the lanes are at " + server + " and " + ServerOf(lane) +
                              "; the token would go to both: audit them apart, with --lane"};
    }
    server = ServerOf(lane);
  }
  return {};
}

ParityReport Auditor::AuditLane(const ParityLane& lane, const WireProbe* wire) {
  ParityReport failed;
  failed.lane = lane.name;
  std::unique_ptr<EarlierLane> earlier;
  if (lane.adapter == "http") {
    EarlierHttpOptions http;
    http.token_file = options_.earlier_token_file;
    http.tls.ca_file = options_.earlier_ca_file;
    http.timeout_ms = static_cast<int>(options_.earlier_timeout_s * 1000);
    http.max_answer_bytes = options_.max_answer_bytes;
    earlier = OpenHttpLane(lane, http, &failed.error);
    if (!earlier) return failed;
  } else if (lane.adapter == "table") {
    earlier = OpenTableLane(lane, &database_.db(), database_.schema());
  } else if (lane.adapter != "self") {
    failed.error = "its adapter " + lane.adapter + " is of a later version";
    return failed;
  }
  return LaneAudit({database_.db(), database_.schema(), wire, options_.probes}, lane, earlier.get(), Seed()).Run();
}

Trouble Auditor::Pass(std::vector<Done>* done) {
  std::vector<ParityLane> lanes;
  if (Trouble trouble = Choose(&lanes); trouble.exit_code != kExitOk) return trouble;
  std::optional<WireProbe> wire;
  if (options_.probes_wire) {
    ServerOptions server = options_.server;
    for (const ParityLane& lane : lanes) server.token.claims.scopes.push_back(lane.topic);
    wire.emplace(std::move(server), kWireWithinMs);
  }
  for (const ParityLane& lane : lanes) {
    if (StopSignal() != 0) break;
    ParityReport report = AuditLane(lane, wire ? &*wire : nullptr);
    if (StopSignal() != 0) break;
    for (const ParityMismatch& mismatch : report.mismatches) log_.Mismatch(lane, mismatch);
    if (options_.action == "run" || !report.error.empty() || report.busy || !report.wire_error.empty()) {
      log_.Audit(lane, report);
    }
    done->push_back({lane, std::move(report)});
  }
  return {};
}

bool Auditor::Flush() {
  if (output_.Flush() != OutputState::kFailed) return true;
  SayError("standard output cannot be written: " + output_.error());
  return false;
}

void Auditor::Print(const std::vector<Done>& done) {
  if (options_.json) {
    nlohmann::json lanes = nlohmann::json::array();
    for (const Done& one : done) lanes.push_back(ReportToJson(one.report, one.lane));
    const std::string line =
        nlohmann::json({{"lanes", lanes}}).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    output_.Add(IsTerminal(STDOUT_FILENO) ? EscapeForTerminal(line) : line);
    return;
  }
  if (options_.action == "run") return;  // its lines on stderr say it
  for (const Done& one : done) {
    const ParityReport& report = one.report;
    std::string line = fmt::format("{}: ", report.lane);
    if (report.busy) {
      line += "another auditor is at it";
    } else if (!report.error.empty()) {
      line += "failed: " + report.error;
    } else {
      line += fmt::format("{} compared, {} mismatched", report.checked(), report.mismatched());
      for (int i = 1; i < kParityReasons; ++i) {
        const int64_t count = report.reasons[static_cast<size_t>(i)];
        if (count > 0) line += fmt::format(", {} {}", count, ParityReasonName(static_cast<ParityReason>(i)));
      }
      line += fmt::format("; {} with the journal, {} over the wire, {} without an answer; seed {}, {:.1f} s",
                          report.journal_checked, report.wire_checked, report.unanswered, report.seed, report.seconds);
    }
    output_.Add(EscapeForTerminal(line));
  }
}

int Auditor::Once() {
  std::vector<Done> done;
  const Trouble trouble = Pass(&done);
  if (StopSignal() != 0) return kExitSignal + StopSignal();
  if (trouble.exit_code != kExitOk) {
    SayError(trouble.text);
    return trouble.exit_code;
  }
  if (done.empty()) {
    SayError("no lane is enabled: sync_parity_set_lane() makes one (docs/sync/PARITY.md)");
    return kExitUsage;
  }
  Print(done);
  if (!Flush()) return kExitLocalFile;
  const auto failed = [](const Done& one) { return !one.report.error.empty() || !one.report.wire_error.empty(); };
  if (std::any_of(done.begin(), done.end(), failed)) return kExitCannotConnect;
  const auto busy = [](const Done& one) { return one.report.busy; };
  return std::any_of(done.begin(), done.end(), busy) ? kExitLocalFile : kExitOk;
}

int Auditor::Forever() {
  log_.Say("parity.started", "info", "every " + options_.every);
  std::string said;
  const SystemClock clock;
  while (StopSignal() == 0) {
    const int64_t next_ms = clock.SteadyMs() + options_.every_ms;
    std::vector<Done> done;
    const Trouble trouble = Pass(&done);
    if (trouble.exit_code != kExitOk) {
      // Whatever it is, it may be put right while we run. Said once.
      if (trouble.text != said) log_.Say("parity.failed", "error", trouble.text);
      said = trouble.text;
    } else {
      said.clear();
      // A lane that failed in the database may have done so because that is gone.
      for (const Done& one : done) {
        if (!one.report.error.empty()) database_.Lost();
      }
      if (options_.json) Print(done);
      if (!Flush()) return kExitLocalFile;
    }
    for (int64_t left = next_ms - clock.SteadyMs(); left > 0 && StopSignal() == 0; left = next_ms - clock.SteadyMs()) {
      poll(nullptr, 0, static_cast<int>(std::min<int64_t>(left, kLookForStopMs)));
    }
  }
  log_.Say("parity.stopped", "info", "signal " + std::to_string(StopSignal()));
  return kExitOk;  // that is how a service ends
}

std::string Age(const std::optional<double>& seconds) {
  return seconds ? fmt::format("{:.0f} s ago", *seconds) : "never";
}

std::string DescribeReasons(const std::array<int64_t, kParityReasons>& counts) {
  std::string text;
  for (int i = 1; i < kParityReasons; ++i) {
    if (counts[static_cast<size_t>(i)] == 0) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", counts[static_cast<size_t>(i)],
                        ParityReasonName(static_cast<ParityReason>(i)));
  }
  return text.empty() ? "none" : text;
}

nlohmann::json StatusToJson(const ParityLane& lane) {
  const auto or_null = [](const std::optional<double>& number) {
    return number ? nlohmann::json(*number) : nlohmann::json();
  };
  return {{"lane", lane.name},
          {"topic", lane.topic},
          {"adapter", lane.adapter},
          {"address", lane.address},
          {"authority", lane.authority},
          {"enabled", lane.enabled},
          {"samples", lane.samples},
          {"lag_limit_seconds", lane.lag_limit_s},
          {"max_rate", lane.max_rate},
          {"max_age_seconds", lane.max_age_s},
          {"audit_age_seconds", or_null(lane.audit_age_s)},
          {"last_error", lane.last_error.empty() ? nlohmann::json() : nlohmann::json(lane.last_error)},
          {"audits", lane.audits},
          {"checked", lane.checked},
          {"mismatched", lane.mismatched},
          {"unanswered", lane.unanswered},
          {"journal_checked", lane.journal_checked},
          {"wire_checked", lane.wire_checked},
          {"rate", lane.checked == 0 ? nlohmann::json() : nlohmann::json(lane.rate())},
          {"by_reason", ReasonsToJson(lane.by_reason)},
          {"totals", ReasonsToJson(lane.totals)}};
}

void PrintStatus(const ParityLane& lane, const std::string& window, Output* output) {
  output->Add(EscapeForTerminal(fmt::format("{}: {}, topic {}, {}{}{}, authority {}", lane.name,
                                            lane.enabled ? "enabled" : "off", lane.topic, lane.adapter,
                                            lane.address.empty() ? "" : " ", lane.address, lane.authority)));
  output->Add(fmt::format(
      "  newest audit {}; in {}: {} audits, {} compared, {} mismatched ({}), rate {}, {} without an answer",
      Age(lane.audit_age_s), window, lane.audits, lane.checked, lane.mismatched, DescribeReasons(lane.by_reason),
      lane.checked == 0 ? "unknown" : fmt::format("{:.4g}", lane.rate()), lane.unanswered));
  if (!lane.last_error.empty()) output->Add(EscapeForTerminal("  the last audit failed: " + lane.last_error));
}

// The lanes that are named, or all; those that are enabled only, for the gate.
Trouble ReadLanes(const ParityOptions& options, bool only_enabled, std::vector<ParityLane>* lanes) {
  ParityDatabase database(options);
  if (Trouble trouble = database.Connect(); trouble.exit_code != kExitOk) return trouble;
  std::vector<ParityLane> all;
  if (Trouble trouble = database.Read(&all); trouble.exit_code != kExitOk) return trouble;
  std::string unknown;
  *lanes = SelectLanes(std::move(all), options.lanes, only_enabled, &unknown);
  if (!unknown.empty()) return {kExitUsage, "--lane: there is no lane " + unknown};
  return {};
}

int Finish(Output* output, int exit_code) {
  if (output->Flush() != OutputState::kFailed) return exit_code;
  SayError("standard output cannot be written: " + output->error());
  return kExitLocalFile;
}

int RunGate(const ParityOptions& options) {
  std::vector<ParityLane> lanes;
  if (const Trouble trouble = ReadLanes(options, /*only_enabled=*/true, &lanes); trouble.exit_code != kExitOk) {
    SayError(trouble.text);
    return trouble.exit_code;
  }
  std::vector<GateJudgement> judgements;
  judgements.reserve(lanes.size());
  for (const ParityLane& lane : lanes) judgements.push_back(JudgeLane(lane, {options.max_rate, options.min_samples}));
  Output output(STDOUT_FILENO);
  if (options.json) {
    output.Add(GateToJson(judgements).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  } else {
    for (const GateJudgement& one : judgements) {
      for (const std::string& reason : one.reasons_closed) {
        output.Add(EscapeForTerminal("closed: " + one.lane.name + ": " + reason));
      }
      if (one.reasons_closed.empty()) {
        output.Add(fmt::format("open: {}: {} of {} mismatched, rate {:.4g}", one.lane.name, one.lane.mismatched,
                               one.lane.checked, one.lane.rate()));
      }
    }
    if (judgements.empty()) output.Add("closed: no lane is enabled");
  }
  return Finish(&output, IsOpen(judgements) ? kExitOk : kExitProblem);
}

int RunParityStatus(const ParityOptions& options) {
  std::vector<ParityLane> lanes;
  if (const Trouble trouble = ReadLanes(options, /*only_enabled=*/false, &lanes); trouble.exit_code != kExitOk) {
    SayError(trouble.text);
    return trouble.exit_code;
  }
  Output output(STDOUT_FILENO);
  if (options.json) {
    nlohmann::json list = nlohmann::json::array();
    for (const ParityLane& lane : lanes) list.push_back(StatusToJson(lane));
    output.Add(nlohmann::json({{"window_seconds", static_cast<double>(options.window_ms) / 1000}, {"lanes", list}})
                   .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  } else {
    for (const ParityLane& lane : lanes) PrintStatus(lane, options.window, &output);
    if (lanes.empty()) output.Add("no lanes");
  }
  return Finish(&output, kExitOk);
}

}  // namespace

int RunParity(const CommonOptions& common, const ParityOptions& options) {
  if (options.action == "gate") return RunGate(options);
  if (options.action == "status") return RunParityStatus(options);
  Auditor auditor(common, options);
  return options.action == "run" ? auditor.Forever() : auditor.Once();
}

}  // namespace oasync::terminal
