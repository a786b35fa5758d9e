#include "command_line.h"

#include <charconv>
#include <cmath>
#include <cstdlib>

#include "base/clock.h"
#include "exit_code.h"

namespace oasync::terminal {
namespace {

constexpr char kServerGroup[] = "Server";
constexpr char kTokenGroup[] = "Token";
constexpr char kOutputGroup[] = "Output";

void AddCommon(CLI::App* app, CommonOptions* common) {
  static const std::map<std::string, ColourMode> kModes = {
      {"auto", ColourMode::kAuto}, {"always", ColourMode::kAlways}, {"never", ColourMode::kNever}};
  app->add_option_function<std::string>(
         "--color", [common](const std::string& text) { common->colour = kModes.at(text); },
         "Colours: auto (on a terminal, unless NO_COLOR is set), always, never")
      ->type_name("WHEN")
      ->check(CLI::IsMember({"auto", "always", "never"}))
      ->group(kOutputGroup);
  app->add_flag("-q,--quiet", common->quiet, "No notices on stderr; errors are still said")->group(kOutputGroup);
  app->add_flag("-v,--verbose", common->verbose, "More notices on stderr")->group(kOutputGroup);
}

void AddServer(CLI::App* app, ServerOptions* server, const char* what) {
  app->add_option("--url", server->url, what)
      ->type_name("URL")
      ->envname("OA_SYNC_URL")
      ->capture_default_str()
      ->group(kServerGroup);
  app->add_option("--ca-file", server->tls.ca_file,
                  "Authorities (PEM) of the server's certificate; without it those of the system")
      ->type_name("FILE")
      ->envname("OA_SYNC_CA_FILE")
      ->group(kServerGroup);
  app->add_option_function<double>(
         "--timeout", [server](double seconds) { server->timeout_ms = static_cast<int>(seconds * 1000); },
         "Seconds that one HTTP request may take (15)")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.1, 3600.0))
      ->group(kServerGroup);
}

// A token's place is not the command line, where ps shows it: said to who tries, instead of "unknown option".
void RefuseToken(CLI::App* app) {
  app->add_option_function<std::string>(
         "--token",
         [](const std::string&) {
           throw CLI::ValidationError(
               "--token",
               "a token on the command line can be read by every user of the machine; use --token-file, or "
               "OA_SYNC_TOKEN in the environment");
         })
      ->group("");
}

void AddToken(CLI::App* app, TokenOptions* token, bool with_key_file) {
  app->add_option(
         "--token-file", token->token_file,
         "File with a token, read anew before the token ends. Without any of these, OA_SYNC_TOKEN is the token")
      ->type_name("FILE")
      ->group(kTokenGroup);
  app->add_option("--keyring", token->keyring_file, "Keyring (as --jwt-keyring of the fan-out) to mint tokens with")
      ->type_name("FILE")
      ->group(kTokenGroup);
  if (with_key_file) {
    app->add_option("--key-file", token->key_file, "File with a service key, for which the fan-out makes tokens")
        ->type_name("FILE")
        ->group(kTokenGroup);
  }
  app->add_option("--issuer", token->claims.issuer, "iss of minted tokens")
      ->type_name("TEXT")
      ->capture_default_str()
      ->group(kTokenGroup);
  app->add_option("--audience", token->claims.audience, "aud of minted tokens")
      ->type_name("TEXT")
      ->capture_default_str()
      ->group(kTokenGroup);
  RefuseToken(app);
}

void AddAdmin(CLI::App* app, std::string* admin_url, std::string* key_file) {
  app->add_option("--admin-url", *admin_url, "The fan-out's admin listener, such as http://127.0.0.1:4401")
      ->type_name("URL")
      ->envname("OA_SYNC_ADMIN_URL")
      ->group(kServerGroup);
  app->add_option("--key-file", *key_file,
                  "File with a service key that may observe, for the admin listener; without it OA_SYNC_SERVICE_KEY")
      ->type_name("FILE")
      ->group(kServerGroup);
}

CLI::App* Sub(CLI::App* app, Options* options, Command command, const char* name, const char* what) {
  CLI::App* sub = app->add_subcommand(name, what);
  sub->fallthrough();
  sub->callback([options, command] { options->command = command; });
  return sub;
}

void DefineTail(CLI::App* app, Options* options) {
  TailOptions* tail = &options->tail;
  CLI::App* sub = Sub(app, options, Command::kTail, "tail",
                      "Follow topics: print their events as they come, and go on from where an earlier run was");
  sub->add_option("topics", tail->topics, "Topics to follow")->type_name("TOPIC...")->required();
  sub->add_option("--cursor", tail->cursor_file,
                  "File that remembers the place in each topic: read at the start, written after what was printed has "
                  "gone out. One process at a time")
      ->type_name("FILE");
  sub->add_option(
         "--since", tail->since,
         "Where to begin on topics that the cursor file does not know: now, beginning (everything retained), a "
         "watermark, or an age (10m, 2h, 7d) or time (2026-11-23T05:46:04Z), for which everything retained is "
         "replayed and what is older not shown. Default: now; with --cursor or --no-follow, beginning")
      ->type_name("WHERE");
  sub->add_flag("--follow,!--no-follow", tail->follow,
                "Go on with what is to come (the default), or end at the heads that the topics have now");
  sub->add_option("-n,--count", tail->count, "End after so many printed events")->type_name("N");
  sub->add_flag("--resync", tail->resync,
                "When the cursor cannot be resumed, begin anew: a line with op resync, the documents (op snapshot), "
                "then the events behind them. Without it that is the end, with exit code 5");
  sub->add_option("--op", tail->ops, "Show only these: upsert, delete, truncate; repeatable, or separated by commas")
      ->type_name("OP")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::IsMember({"upsert", "delete", "truncate"}))
      ->group("Filters");
  sub->add_option("--key", tail->keys, "Show only document keys that fit the pattern (*, ?); repeatable: one of them")
      ->type_name("GLOB")
      ->allow_extra_args(false)
      ->group("Filters");
  sub->add_option(
         "--field", tail->fields,
         "Show only events whose payload has the value there: status=done, runtime_source.seq=7, status!=done; "
         "repeatable: all of them")
      ->type_name("PATH=VALUE")
      ->allow_extra_args(false)
      ->group("Filters");
  sub->add_flag("--json", tail->json, "One JSON object a line")->group(kOutputGroup);
  sub->add_option("--retries", tail->retries,
                  "Attempts in a row to connect again before giving up. The first connection is tried once")
      ->type_name("N")
      ->check(CLI::Range(0, 1000000000))
      ->capture_default_str()
      ->group(kServerGroup);
  sub->add_option("--max-message-bytes", tail->max_message_bytes, "Largest message taken from the server")
      ->type_name("N")
      ->check(CLI::Range(uint64_t{65536}, uint64_t{1} << 30))
      ->capture_default_str()
      ->group(kServerGroup);
  AddServer(sub, &tail->server, "The fan-out's socket, as a Phoenix client has it");
  AddToken(sub, &tail->server.token, /*with_key_file=*/true);
}

void DefineStatus(CLI::App* app, Options* options) {
  StatusOptions* status = &options->status;
  CLI::App* sub = Sub(app, options, Command::kStatus, "status",
                      "Show how a fan-out is: health, tail, connections, lag (with --admin-url), heads of topics");
  sub->add_option("topics", status->topics, "Topics whose heads to show; takes a token")->type_name("TOPIC...");
  sub->add_flag("-w,--watch", status->watch, "Again and again, until interrupted; on a terminal in the same place");
  sub->add_option("--interval", status->interval_s, "Seconds between two looks of --watch")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  sub->add_flag("--json", status->json, "One JSON object for each look")->group(kOutputGroup);
  AddServer(sub, &status->server, "The fan-out");
  AddAdmin(sub, &status->admin_url, &status->key_file);
  AddToken(sub, &status->server.token, /*with_key_file=*/false);
}

void DefineSnapshot(CLI::App* app, Options* options) {
  SnapshotOptions* snapshot = &options->snapshot;
  CLI::App* sub = Sub(app, options, Command::kSnapshot, "snapshot", "Print a topic's documents as they are now");
  sub->add_option("topic", snapshot->topic, "The topic")->type_name("TOPIC")->required();
  sub->add_option("--key", snapshot->key, "Only the document of this key; exit code 1 when there is none")
      ->type_name("DOC_KEY");
  sub->add_option("--cursor", snapshot->cursor_file,
                  "Cursor file in which to note the snapshot's place: `oa-sync tail --cursor` goes on from there")
      ->type_name("FILE");
  sub->add_option("--limit", snapshot->limit, "Documents asked for at once; the server has a limit of its own")
      ->type_name("N")
      ->check(CLI::Range(1, 100000));
  sub->add_flag("--json", snapshot->json, "One JSON object a line")->group(kOutputGroup);
  AddServer(sub, &snapshot->server, "The fan-out");
  AddToken(sub, &snapshot->server.token, /*with_key_file=*/true);
}

void DefineToken(CLI::App* app, Options* options) {
  TokenCommandOptions* token = &options->token;
  TokenOptions* source = &token->server.token;
  CLI::App* sub =
      Sub(app, options, Command::kToken, "token",
          "Make a token and print it: with a keyring, for tests, or by asking a fan-out with a service key");
  sub->add_option(
         "--scope", source->claims.scopes,
         "What the token opens: a topic, or a beginning of topics with a star (run:*); repeatable, or separated "
         "by commas. With a service key: all that the key may, if left out")
      ->type_name("SCOPE")
      ->delimiter(',')
      ->allow_extra_args(false);
  sub->add_option("--ttl", source->claims.ttl_s, "Seconds that it is good for")
      ->type_name("SECONDS")
      ->check(CLI::Range(60, 900))
      ->capture_default_str();
  sub->add_option("--subject", source->claims.subject, "sub of a minted token")
      ->type_name("TEXT")
      ->capture_default_str();
  sub->add_option("--user", source->claims.user_id, "oa_user_id of a minted token")->type_name("TEXT");
  sub->add_option("--org", source->claims.org_id, "oa_org_id of a minted token")->type_name("TEXT");
  sub->add_option("--session", source->claims.session_id, "oa_session_id of a minted token")->type_name("TEXT");
  sub->add_option("--device", source->claims.device_id, "oa_device_id")->type_name("TEXT");
  sub->add_option("--keyring", source->keyring_file, "Keyring to mint with")->type_name("FILE")->group(kTokenGroup);
  sub->add_option("--key-file", source->key_file,
                  "File with a service key, to ask the fan-out with; without either option OA_SYNC_SERVICE_KEY")
      ->type_name("FILE")
      ->group(kTokenGroup);
  sub->add_option("--issuer", source->claims.issuer, "iss of a minted token")
      ->type_name("TEXT")
      ->capture_default_str()
      ->group(kTokenGroup);
  sub->add_option("--audience", source->claims.audience, "aud of a minted token")
      ->type_name("TEXT")
      ->capture_default_str()
      ->group(kTokenGroup);
  sub->add_flag("--json", token->json, "The token with what is known of it, as JSON")->group(kOutputGroup);
  AddServer(sub, &token->server, "The fan-out to ask");
}

void DefineBench(CLI::App* app, Options* options) {
  BenchOptions* bench = &options->bench;
  CLI::App* sub = Sub(app, options, Command::kBench, "bench",
                      "Load a fan-out with many subscribers in one light process, and count what they get");
  sub->add_option("topic", bench->topic, "Topic that all of them follow; {n} in it is the number of the subscriber")
      ->type_name("TOPIC");
  sub->add_option("-c,--connections", bench->connections, "How many subscribers")
      ->type_name("N")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1000000}))
      ->capture_default_str();
  sub->add_option("--seconds", bench->seconds, "How long to count, from when all are subscribed")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.1, 86400.0))
      ->capture_default_str();
  sub->add_option("--stamp", bench->stamp,
                  "Text in the events after which the time of sending stands (CLOCK_MONOTONIC of this machine, "
                  "nanoseconds): latencies are reported too")
      ->type_name("TEXT");
  sub->add_option("--script", bench->script,
                  "Take everything from a script on standard input, as `make bench` does; for its form see "
                  "clients/terminal/src/load_script.h")
      ->type_name("HOST:PORT");
  AddServer(sub, &bench->server, "The fan-out; ws:// only, as TLS would measure this program");
  AddToken(sub, &bench->server.token, /*with_key_file=*/true);
}

void DefineDoctor(CLI::App* app, Options* options) {
  DoctorOptions* doctor = &options->doctor;
  CLI::App* sub = Sub(app, options, Command::kDoctor, "doctor",
                      "Look for what is wrong with a database (--database) and a fan-out (--url, --admin-url), and say "
                      "what to do; exit code 1 when there is a problem");
  sub->add_option("--database", doctor->database,
                  "Connection string or URI of libpq. A password belongs into a passfile or PGPASSWORD")
      ->type_name("CONNINFO")
      ->envname("OA_SYNC_DATABASE");
  sub->add_option("--role", doctor->role,
                  "The fan-out's role, whose rights are looked at; default: the one that connects")
      ->type_name("ROLE");
  sub->add_flag("--json", doctor->json, "One JSON object with all results")->group(kOutputGroup);
  AddServer(sub, &doctor->server, "The fan-out; looked at when this is given, or OA_SYNC_URL is set");
  AddAdmin(sub, &doctor->admin_url, &doctor->key_file);
  AddToken(sub, &doctor->server.token, /*with_key_file=*/false);
}

void DefineParity(CLI::App* app, Options* options) {
  ParityOptions* parity = &options->parity;
  CLI::App* sub = Sub(app, options, Command::kParity, "parity",
                      "Compare OA Sync with the earlier lane: audit (once), run (again and again), gate (exit code 1 "
                      "while a rollout has to wait), status");
  sub->add_option("action", parity->action, "audit, run, gate or status")
      ->type_name("ACTION")
      ->required()
      ->check(CLI::IsMember({"audit", "run", "gate", "status"}));
  sub->add_option("--database", parity->database,
                  "Connection string or URI of libpq, of a role that sync_grant_auditor was called for. A password "
                  "belongs into a passfile or PGPASSWORD")
      ->type_name("CONNINFO")
      ->envname("OA_SYNC_DATABASE");
  sub->add_option("--lane", parity->lanes, "Only this lane; repeatable. Without it all that are enabled")
      ->type_name("NAME")
      ->allow_extra_args(false);
  sub->add_flag("--json", parity->json, "One JSON object with the result; of run one for each audit")
      ->group(kOutputGroup);
  sub->add_option("--log-format", parity->log_format, "Of the lines on stderr that run writes: text or json")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str()
      ->group(kOutputGroup);
  const char* audit = "Audit";
  sub->add_option("--samples", parity->samples, "Documents of each lane, instead of what the lane says")
      ->type_name("N")
      ->check(CLI::Range(1, 10000))
      ->group(audit);
  sub->add_option("--every", parity->every, "Of run: from the beginning of one audit to that of the next (10s, 5m)")
      ->type_name("TIME")
      ->capture_default_str()
      ->group(audit);
  sub->add_option("--seed", parity->seed, "Draw the sample of an earlier audit again, by its number")
      ->type_name("N")
      ->group(audit);
  sub->add_option("--earlier-token-file", parity->earlier_token_file,
                  "File with the bearer token for the addresses of http lanes, read anew for each audit. Lanes at "
                  "several servers are audited by themselves (--lane): a token goes to one")
      ->type_name("FILE")
      ->group(audit);
  sub->add_option("--earlier-ca-file", parity->earlier_ca_file,
                  "Authorities (PEM) of the earlier lane's certificate; without it those of the system")
      ->type_name("FILE")
      ->group(audit);
  sub->add_option("--earlier-timeout", parity->earlier_timeout_s, "Seconds that one answer of an http lane may take")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.1, 60.0))
      ->capture_default_str()
      ->group(audit);
  sub->add_option("--max-answer-bytes", parity->max_answer_bytes, "Largest answer taken from an http lane")
      ->type_name("N")
      ->check(CLI::Range(uint64_t{1024}, uint64_t{256} << 20))
      ->capture_default_str()
      ->group(audit);
  sub->add_option("--probes", parity->probes, "Documents of each audit that a subscriber is asked for, with --url")
      ->type_name("N")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str()
      ->group(audit);
  const char* gate = "Gate";
  sub->add_option("--window", parity->window, "The audits that count (1h, 30m)")
      ->type_name("TIME")
      ->capture_default_str()
      ->group(gate);
  sub->add_option("--max-rate", parity->max_rate, "Closed when the part of documents that mismatch is not below this")
      ->type_name("RATE")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str()
      ->group(gate);
  sub->add_option("--min-samples", parity->min_samples, "Closed when fewer documents were compared")
      ->type_name("N")
      ->check(CLI::Range(int64_t{1}, int64_t{1000000000}))
      ->capture_default_str()
      ->group(gate);
  AddServer(sub, &parity->server, "The fan-out; when this is given, a subscriber checks the wire too");
  AddToken(sub, &parity->server.token, /*with_key_file=*/true);
}

// Empty when it is a URL that can be used.
std::string TakeUrl(const char* option, const std::string& url, Endpoint* endpoint) {
  std::string error;
  auto parsed = ParseEndpoint(url, &error);
  if (!parsed) return std::string(option) + ": " + error;
  *endpoint = std::move(*parsed);
  return {};
}

std::string TakeTail(TailOptions* tail) {
  if (tail->since.empty()) tail->since = tail->cursor_file.empty() && tail->follow ? "now" : "beginning";
  const auto since = ParseSince(tail->since, SystemClock::WallUs());
  if (!since)
    return "--since: not now, beginning, a watermark, an age such as 10m or a time such as 2026-11-23T05:46:04Z";
  tail->start = *since;
  tail->filter.ops.insert(tail->ops.begin(), tail->ops.end());
  tail->filter.keys = tail->keys;
  for (const std::string& text : tail->fields) {
    auto field = FieldCondition::Parse(text);
    if (!field) return "--field: " + text + ": not PATH=VALUE or PATH!=VALUE";
    tail->filter.fields.push_back(std::move(*field));
  }
  tail->server.token.claims.scopes = tail->topics;
  return TakeUrl("--url", tail->server.url, &tail->server.endpoint);
}

std::string TakeBench(BenchOptions* bench) {
  if (bench->script.empty() == bench->topic.empty()) return "bench: name a TOPIC, or --script HOST:PORT";
  std::string error = TakeUrl("--url", bench->server.url, &bench->server.endpoint);
  if (!error.empty() || !bench->script.empty()) return error;
  if (bench->server.endpoint.tls) return "--url: bench speaks ws:// only";
  std::string scope = bench->topic;
  if (const size_t number = scope.find("{n}"); number != std::string::npos)
    scope.replace(number, std::string::npos, "*");
  bench->server.token.claims.scopes = {scope};
  return {};
}

std::string TakeDoctor(DoctorOptions* doctor) {
  if (doctor->database.empty() && !doctor->checks_server && doctor->admin_url.empty()) {
    return "doctor: name what to look at: --database, --url, --admin-url";
  }
  doctor->server.token.claims.scopes = {"*"};
  std::string error = TakeUrl("--url", doctor->server.url, &doctor->server.endpoint);
  if (error.empty() && !doctor->admin_url.empty()) error = TakeUrl("--admin-url", doctor->admin_url, &doctor->admin);
  return error;
}

std::string TakeParity(ParityOptions* parity) {
  if (parity->database.empty()) return "parity: --database (or OA_SYNC_DATABASE) says where the extension is";
  const auto every = ParseDurationMs(parity->every);
  if (!every || *every < 1000 || *every > int64_t{86400000}) return "--every: not a time from 1s to 1d, such as 60s";
  parity->every_ms = *every;
  const auto window = ParseDurationMs(parity->window);
  if (!window || *window < 1000 || *window > int64_t{31536000000}) {
    return "--window: not a time from 1s to 365d, such as 1h";
  }
  parity->window_ms = *window;
  // CLI11's ranges let "nan" pass.
  if (std::isnan(parity->max_rate)) return "--max-rate: not a number from 0 to 1";
  if (std::isnan(parity->earlier_timeout_s)) return "--earlier-timeout: not a number from 0.1 to 60";
  if (!parity->seed.empty()) {
    if (parity->action != "audit") return "--seed: of audit only";
    int64_t seed = 0;
    const auto [end, error] = std::from_chars(parity->seed.data(), parity->seed.data() + parity->seed.size(), seed);
    if (error != std::errc() || end != parity->seed.data() + parity->seed.size()) return "--seed: not a number";
  }
  return TakeUrl("--url", parity->server.url, &parity->server.endpoint);
}

const TokenOptions& TokenOf(const Options& options) {
  switch (options.command) {
    case Command::kSnapshot:
      return options.snapshot.server.token;
    case Command::kStatus:
      return options.status.server.token;
    case Command::kToken:
      return options.token.server.token;
    case Command::kBench:
      return options.bench.server.token;
    case Command::kDoctor:
      return options.doctor.server.token;
    case Command::kParity:
      return options.parity.server.token;
    default:
      return options.tail.server.token;
  }
}

// What a definition can't say. Empty when all is well.
std::string Check(Options* options) {
  const TokenOptions& token = TokenOf(*options);
  if (token.sources() > 1) return "give one of --token-file, --keyring and --key-file";
  switch (options->command) {
    case Command::kTail:
      return TakeTail(&options->tail);
    case Command::kSnapshot:
      if (!options->snapshot.key.empty() && !options->snapshot.cursor_file.empty()) {
        return "--cursor: a single document (--key) is no place to go on from";
      }
      options->snapshot.server.token.claims.scopes = {options->snapshot.topic};
      return TakeUrl("--url", options->snapshot.server.url, &options->snapshot.server.endpoint);
    case Command::kStatus: {
      options->status.server.token.claims.scopes = options->status.topics;
      std::string error = TakeUrl("--url", options->status.server.url, &options->status.server.endpoint);
      if (error.empty() && !options->status.admin_url.empty()) {
        error = TakeUrl("--admin-url", options->status.admin_url, &options->status.admin);
      }
      return error;
    }
    case Command::kToken:
      if (!token.keyring_file.empty() && token.claims.scopes.empty()) return "--scope: say what the token shall open";
      return TakeUrl("--url", options->token.server.url, &options->token.server.endpoint);
    case Command::kBench:
      return TakeBench(&options->bench);
    case Command::kDoctor:
      return TakeDoctor(&options->doctor);
    case Command::kParity:
      return TakeParity(&options->parity);
    default:
      return {};
  }
}

}  // namespace

bool IsShown(const CLI::Option& option) { return !option.get_group().empty(); }

std::unique_ptr<CLI::App> DefineCommandLine(Options* options) {
  auto app = std::make_unique<CLI::App>(
      "oa-sync: OA Sync from a terminal.\nFollows topics of a fan-out, shows how it is, and finds what is wrong.",
      "oa-sync");
  app->set_version_flag("--version", std::string("oa-sync ") + OA_SYNC_VERSION);
  app->set_help_flag("-h,--help", "This text; behind a command, its options");
  app->require_subcommand(1);
  app->get_formatter()->column_width(30);
  AddCommon(app.get(), &options->common);
  DefineTail(app.get(), options);
  DefineStatus(app.get(), options);
  DefineSnapshot(app.get(), options);
  DefineToken(app.get(), options);
  DefineDoctor(app.get(), options);
  DefineParity(app.get(), options);
  DefineBench(app.get(), options);
  CLI::App* completion =
      Sub(app.get(), options, Command::kCompletion, "completion", "Print a shell's completion of this program");
  completion->add_option("shell", options->shell, "bash, zsh or fish")
      ->type_name("SHELL")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  Sub(app.get(), options, Command::kManual, "man", "Print the manual page, for man(1): oa-sync man | man -l -");
  return app;
}

CommandLineResult ReadCommandLine(int argc, const char* const* argv) {
  Options options;
  const auto app = DefineCommandLine(&options);
  try {
    app->parse(argc, argv);
  } catch (const CLI::Success& success) {
    // --help and --version: their text is what CLI11 would print.
    std::ostringstream out;
    app->exit(success, out, out);
    return {std::nullopt, kExitOk, out.str()};
  } catch (const CLI::Error& error) {
    const auto unknown = app->remaining();
    std::string what = error.what();
    if (app->get_subcommands().empty() && !unknown.empty()) what = unknown[0] + ": no such command or option";
    return {std::nullopt, kExitUsage, what + " (oa-sync --help)"};
  }
  options.doctor.checks_server = app->get_subcommand("doctor")->count("--url") > 0;
  options.parity.probes_wire = app->get_subcommand("parity")->count("--url") > 0;
  if (std::string error = Check(&options); !error.empty()) return {std::nullopt, kExitUsage, std::move(error)};
  return {std::move(options), kExitOk, {}};
}

}  // namespace oasync::terminal
