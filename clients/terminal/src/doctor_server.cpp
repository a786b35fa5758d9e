#include "doctor_server.h"

#include <ctime>

#include "auth/strict_json.h"
#include "base/clock.h"
#include "follower.h"
#include "http_client.h"
#include "phoenix_channel.h"
#include "stop.h"
#include "sync_connection.h"
#include "token_source.h"

namespace oasync::terminal {
namespace {

constexpr int64_t kDay = 86400;
constexpr int64_t kJoinWithinMs = 10000;

int64_t NowMs() { return SystemClock().SteadyMs(); }

std::string Describe(const HttpOutcome& outcome) {
  return outcome.response ? DescribeError(*outcome.response) : outcome.error;
}

void CheckCertificate(const std::string& check, int64_t expires_at, Findings* findings) {
  if (expires_at == 0) return;
  const int64_t days = (expires_at - time(nullptr)) / kDay;
  const std::string what = "the certificate is good for " + std::to_string(days) + " more days";
  const char* todo = "renew it: a new pair of files is read without a restart (docs/operations/http.md#tls)";
  if (days < 3) return findings->Problem(check, what, todo);
  if (days < 14) return findings->Warning(check, what, todo);
  findings->Ok(check, what);
}

// Connects and joins, without topics: the whole way of a client but the events.
void CheckSocket(const DoctorOptions& options, Findings* findings) {
  const char* check = "fanout.websocket";
  const ServerOptions& server = options.server;
  const TokenResult token = TokenSource(server.token, HttpClient(server.endpoint, server.tls, server.timeout_ms)).Get();
  if (token.token.empty()) {
    const bool asked_for = server.token.sources() > 0;
    if (asked_for) return findings->Problem(check, token.error, "name a file that can be read");
    return findings->Skipped(check, "no token, so no WebSocket was tried",
                             "give --token-file or --keyring, or set OA_SYNC_TOKEN");
  }
  Follower nothing;
  SyncConnection connection(server.endpoint, server.tls, size_t{16} << 20, &nothing);
  const int64_t began = NowMs();
  connection.Start(token.token);
  SyncEvent event;
  while (event.kind == SyncEvent::Kind::kNothing && NowMs() - began < kJoinWithinMs && StopSignal() == 0) {
    event = connection.Next(kLookForStopMs);
  }
  connection.Close();
  const std::string took = std::to_string(NowMs() - began) + " ms";
  switch (event.kind) {
    case SyncEvent::Kind::kJoined:
      return findings->Ok(check, "connected and joined within " + took);
    case SyncEvent::Kind::kUnauthorized:
      return findings->Problem(
          check, "the token is not accepted: " + event.text,
          "compare its key, iss, aud and times with the fan-out's --jwt-* settings and both clocks "
          "(docs/operations/authentication.md)");
    case SyncEvent::Kind::kNothing:
      return findings->Problem(check, "no answer to a join within " + took, "look at the fan-out's log");
    default:
      return findings->Problem(check, event.text,
                               "a proxy in front must pass WebSocket upgrades on; else look at the "
                               "fan-out's log");
  }
}

void CheckReadyz(const char* check, const HttpClient& http, const char* todo, Findings* findings) {
  const HttpOutcome outcome = http.Get("/readyz", {});
  if (outcome.Is(200)) return findings->Ok(check, "ready: events come through");
  std::string reason = outcome.response ? TextMember(ParseStrictJson(outcome.response->body), "reason") : std::string();
  if (reason == "tail_down") reason += " (the database is not reached)";
  if (reason == "canary_late" || reason == "tail_silent") reason += " (no events come through)";
  findings->Problem(check, "not ready: " + (reason.empty() ? Describe(outcome) : reason), todo);
}

void CheckTail(const Json& tail, Findings* findings) {
  const std::string mode = TextMember(tail, "mode");
  const std::string reason = TextMember(tail, "reason");
  const std::string because = reason.empty() ? "" : " (" + reason + ")";
  if (mode == "logical") return findings->Ok("fanout.tail", "follows by a replication slot");
  if (mode == "journal") {
    return findings->Warning("fanout.tail", "polls the journal instead of following by a slot" + because,
                             "nothing is lost, live events are later; look at wal_level, output_plugin_libraries, free "
                             "slots and the role's REPLICATION (--database checks them), and at the fan-out's log");
  }
  findings->Problem("fanout.tail", "does not follow the database" + because,
                    "see that the database is reached with the fan-out's --database and role");
}

void CheckProblems(const Json& health, Findings* findings) {
  for (const Json& problem : Member(health, "problems")) {
    const std::string check = "fanout.health." + TextMember(problem, "code");
    std::string todo = TextMember(problem, "todo");
    const std::string doc = TextMember(problem, "doc");
    if (!doc.empty()) todo += " (" + doc + ")";
    if (TextMember(problem, "severity") == "critical") {
      findings->Problem(check, TextMember(problem, "what"), todo);
    } else {
      findings->Warning(check, TextMember(problem, "what"), todo);
    }
  }
}

void CheckVersions(const Json& overview, const DatabaseFacts& database, Findings* findings) {
  const std::string fanout = TextMember(Member(overview, "server"), "version");
  std::string extension = database.extension_version;
  if (extension.empty()) extension = TextMember(Member(overview, "database"), "extension_version");
  const std::string what = "fan-out " + fanout + ", extension " + (extension.empty() ? "unknown" : extension) +
                           ", this program " + OA_SYNC_VERSION;
  if (extension.empty() || fanout.empty()) return findings->Skipped("versions", what, {});
  if (fanout == extension) return findings->Ok("versions", what);
  findings->Warning("versions", what, "bring both to one version, in the order of docs/operations/upgrade.md");
}

void CheckConnections(const Json& connections, Findings* findings) {
  const uint64_t open = ReadInteger(Member(connections, "open")).value_or(0);
  const uint64_t limit = ReadInteger(Member(connections, "limit")).value_or(0);
  const std::string what = std::to_string(open) + " of " + std::to_string(limit) + " connections";
  if (limit > 0 && open * 10 >= limit * 9) {
    return findings->Warning("fanout.connections", what, "raise --max-connections (and LimitNOFILE), or add a fan-out");
  }
  findings->Ok("fanout.connections", what);
}

void CheckOverview(const DoctorOptions& options, const HttpClient& admin, const DatabaseFacts& database,
                   Findings* findings) {
  const char* check = "fanout.overview";
  std::string error;
  const std::string key = ReadServiceKey(options.key_file, &error);
  if (key.empty()) {
    if (!options.key_file.empty()) return findings->Problem(check, error, "name a file with a service key");
    return findings->Skipped(check, "no service key, so tail, versions and limits were not looked at",
                             "give --key-file or set OA_SYNC_SERVICE_KEY; the key's `may` needs observe");
  }
  const int64_t before = SystemClock().WallMs();
  const HttpOutcome outcome = admin.Get("/api/admin/overview", key);
  const int64_t after = SystemClock().WallMs();
  if (!outcome.Is(200)) {
    return findings->Problem(check, "no overview: " + Describe(outcome),
                             "the key must be in the fan-out's --service-keys with `may`: [\"observe\"]");
  }
  const Json overview = ParseStrictJson(outcome.response->body);
  CheckTail(Member(overview, "tail"), findings);
  CheckProblems(Member(overview, "health"), findings);
  CheckConnections(Member(overview, "connections"), findings);
  CheckVersions(overview, database, findings);
  if (const auto now = ReadInteger(Member(Member(overview, "server"), "now"))) {
    JudgeClock("fanout.clock", "the fan-out's clock", static_cast<int64_t>(*now) - (before + after) / 2,
               (after - before + 1) / 2, findings);
  }
}

}  // namespace

void CheckPublic(const DoctorOptions& options, Findings* findings) {
  const ServerOptions& server = options.server;
  const HttpClient http(server.endpoint, server.tls, server.timeout_ms);
  const HttpOutcome outcome = http.Get("/healthz", {});
  const std::string where = server.endpoint.HttpUrl();
  if (!outcome.response) {
    const char* todo =
        outcome.fault == NetFault::kTls
            ? "see that the certificate is of this name and signed by an authority that is believed here "
              "(--ca-file)"
            : "see that the fan-out runs, what --listen says, and what is between";
    return findings->Problem("fanout.reach", where + ": " + outcome.error, todo);
  }
  findings->Ok("fanout.reach", where + " answers");
  CheckCertificate("fanout.certificate", outcome.certificate_expires_at, findings);
  if (outcome.Is(200)) {
    findings->Ok("fanout.healthz", "every event loop turns");
  } else {
    findings->Problem("fanout.healthz", Describe(outcome), "when it stays so, restart the fan-out");
  }
  CheckReadyz("fanout.readyz", http, "--admin-url tells why; the fan-out's log too", findings);
  CheckSocket(options, findings);
}

void CheckAdmin(const DoctorOptions& options, const DatabaseFacts& database, Findings* findings) {
  const HttpClient admin(options.admin, options.server.tls, options.server.timeout_ms);
  const HttpOutcome outcome = admin.Get("/healthz", {});
  if (!outcome.response) {
    return findings->Problem("fanout.admin", options.admin.HttpUrl() + ": " + outcome.error,
                             "see what --admin-listen says, and whether this machine may reach it");
  }
  findings->Ok("fanout.admin", options.admin.HttpUrl() + " answers");
  CheckCertificate("fanout.admin_certificate", outcome.certificate_expires_at, findings);
  CheckReadyz("fanout.admin_readyz", admin, "look at the database (--database), then at the fan-out's log", findings);
  CheckOverview(options, admin, database, findings);
}

}  // namespace oasync::terminal
