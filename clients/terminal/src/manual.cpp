#include "manual.h"

#include <string_view>

#include "command_line.h"

namespace oasync::terminal {
namespace {

constexpr char kDescription[] = R"(.Sh DESCRIPTION
OA Sync turns writes to PostgreSQL into ordered, resumable streams of events, one for each topic, which
.Xr oa-sync-fanout 1
serves over WebSockets.
.Nm
follows them from a terminal or a script, and looks after the servers.
.Pp
Data goes to standard output: coloured text on a terminal, plain text otherwise, or JSON, one object a line, with
.Fl -json .
Notices and progress go to standard error.
What strangers wrote is shown with control characters escaped.
.Pp
Events of
.Cm tail
.Fl -json
are the updates of the protocol: topic, doc_key, doc_version, op (upsert, delete, truncate), payload, payload_hash,
watermark, epoch, hydration_required, inserted_at, and traceparent where the writer set one.
With
.Fl -resync
there are two other ops: resync (what was printed of the topic before counts no more) and snapshot (a document as it is
now).
.Ss Places
The place in a topic is its epoch and watermark.
With
.Fl -cursor
.Cm tail
writes it after the events before it have been handed to standard output (and to the disk, when that is a file).
A run that is killed at any moment leaves a place that was printed: the next one may repeat the last events, and leaves
none out.
.Ss Tokens
A token is never taken from the command line, which every user of the machine can read.
It comes from a file, from the environment, is minted with a keyring, or asked for with a service key; all but the one of
the environment are renewed before they end, on the open connection.
)";

constexpr char kAfterOptions[] = R"(.Sh ENVIRONMENT
.Bl -tag -width Ds
.It Ev OA_SYNC_URL , OA_SYNC_ADMIN_URL , OA_SYNC_CA_FILE , OA_SYNC_DATABASE
What
.Fl -url , -admin-url , -ca-file
and
.Fl -database
are when they are not given.
.It Ev OA_SYNC_TOKEN
The token, when no option names another source.
.It Ev OA_SYNC_SERVICE_KEY
The service key, where
.Fl -key-file
could name one and does not.
.It Ev NO_COLOR , TERM
No colours, unless
.Fl -color Cm always
says otherwise, when the first is set or the second is dumb.
.El
.Sh FILES
A cursor file is JSON:
.Pp
.Dl {"version":1,"cursors":[
.Dl \&  {"topic":"run:42:events","epoch":1795377600000000,"watermark":41}]}
.Pp
Beside it stands FILE.lock, which a process locks that uses it.
It is replaced by renaming FILE.new.
.Sh EXIT STATUS
.Bl -tag -width Ds
.It 0
It was done. Also when the reader of the output went away.
.It 1
.Cm status :
not ready.
.Cm doctor :
a problem was found.
.Cm snapshot Fl -key :
there is no such document.
.Cm bench :
subscribers were lost or missed events.
.Cm parity gate :
closed.
.It 2
The command line, or a file that it names, cannot be used.
.Cm parity :
no lane is enabled or of that name, the extension is too old, or the role may not.
.It 3
Nobody answers, the server takes nobody at the moment, or its certificate cannot be believed.
.It 4
Refused: no valid token, or a topic that it does not open.
.It 5
The cursor cannot be resumed, and
.Fl -resync
was not given.
.It 6
The connection was lost more often than
.Fl -retries
allows.
.It 7
The server said what no OA Sync server says.
.It 8
The cursor file is in use or cannot be written, or standard output cannot be.
.Cm parity audit :
another auditor is at the lane.
.It 128 + n
Ended by signal n: 130 after Ctrl-C, 143 after SIGTERM.
.Cm parity run ,
a service, ends with 0 then.
.El
.Sh EXAMPLES
Follow two topics on a terminal:
.Pp
.Dl oa-sync tail --keyring keyring.json run:42:events run:43:events
.Pp
Feed a program, over restarts of everything:
.Pp
.Dl oa-sync tail --json --cursor run.cursor --resync \(rs
.Dl \&  --token-file token runtime.run_summaries | ./consume
.Pp
What failed in the last ten minutes:
.Pp
.Dl oa-sync tail --no-follow --since 10m --field status=failed run:42:events
.Pp
What is wrong:
.Pp
.Dl oa-sync doctor --database 'host=db1 dbname=app' --url ws://fan1:4400/socket
.Pp
Whether a rollout may go on:
.Pp
.Dl oa-sync parity gate --database 'host=db1 dbname=app' --window 1h --max-rate 0.01
.Sh SEE ALSO
docs/clients/terminal.md, docs/sync/PARITY.md, docs/operations/http.md and docs/protocol/OA_SYNC_WS_MAPPING.md of OA Sync.
)";

// Text in which roff sees nothing of its own.
std::string Roff(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '\n') {
      out += ' ';
    } else {
      out += c;
    }
  }
  // A full stop or an apostrophe at the beginning of a line would be a command.
  if (!out.empty() && (out.front() == '.' || out.front() == '\'')) out.insert(0, "\\&");
  return out;
}

// An argument of a macro, quoted so that its words stay together and no macro is seen in it.
std::string Argument(const std::string& text) {
  std::string out = "\"";
  for (const char c : Roff(text)) {
    out += c == '"' ? std::string("\\(dq") : std::string(1, c);
  }
  return out + "\"";
}

void AddOption(const CLI::Option& option, std::string* page) {
  if (option.get_positional()) {
    *page += ".It " + Argument(option.get_type_name()) + "\n";
  } else {
    *page += ".It";
    bool first = true;
    for (const std::string& name : option.get_snames()) {
      *page += std::string(first ? "" : " ,") + " Fl " + name;
      first = false;
    }
    for (const std::string& name : option.get_lnames()) {
      *page += std::string(first ? "" : " ,") + " Fl -" + name;
      first = false;
    }
    if (option.get_items_expected_max() > 0) *page += " Ar " + Argument(option.get_type_name());
    *page += "\n";
  }
  *page += Roff(option.get_description());
  const std::string standard = option.get_default_str();
  if (page->back() != '.') *page += ".";
  if (!standard.empty() && option.get_items_expected_max() > 0) *page += "\nThe default is " + Roff(standard) + ".";
  *page += "\n";
}

void AddOptions(const CLI::App& app, std::string* page) {
  *page += ".Bl -tag -width Ds\n";
  for (const CLI::Option* option : app.get_options()) {
    if (IsShown(*option)) AddOption(*option, page);
  }
  *page += ".El\n";
}

}  // namespace

std::string MakeManual(const CLI::App& app) {
  const auto commands = app.get_subcommands([](const CLI::App*) { return true; });
  std::string page =
      ".\\\" Made by: oa-sync man\n.Dd November 23, 2026\n.Dt OA-SYNC 1\n.Os\n.Sh NAME\n.Nm oa-sync\n"
      ".Nd OA Sync from a terminal\n.Sh SYNOPSIS\n";
  for (const CLI::App* command : commands) {
    page += ".Nm oa-sync\n.Cm " + command->get_name() + "\n.Op Ar options\n";
    for (const CLI::Option* option : command->get_options()) {
      if (option->get_positional()) page += ".Ar " + option->get_type_name() + "\n";
    }
  }
  page += kDescription;
  page += ".Sh COMMANDS\n";
  for (const CLI::App* command : commands) {
    page += ".Ss " + command->get_name() + "\n" + Roff(command->get_description()) + ".\n";
    AddOptions(*command, &page);
  }
  page += ".Ss Options of every command\n";
  AddOptions(app, &page);
  return page + kAfterOptions;
}

}  // namespace oasync::terminal
