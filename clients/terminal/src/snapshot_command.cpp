#include "snapshot_command.h"

#include <unistd.h>

#include "cursor_file.h"
#include "output.h"
#include "snapshot_reader.h"
#include "stop.h"

namespace oasync::terminal {
namespace {

int FinishOutput(Output* output, OutputState state) {
  if (state == OutputState::kFailed) {
    SayError("standard output cannot be written: " + output->error());
    return kExitLocalFile;
  }
  return StopSignal() == 0 ? kExitOk : kExitSignal + StopSignal();
}

}  // namespace

int RunSnapshot(const CommonOptions& common, const SnapshotOptions& options) {
  Notices notices(common.quiet, common.verbose);
  Output output(STDOUT_FILENO);
  const EventFormat format(options.json, IsTerminal(STDOUT_FILENO), Painter(WantsColour(common.colour, STDOUT_FILENO)));
  CursorFile cursor_file;
  if (!options.cursor_file.empty()) {
    if (const std::string error = cursor_file.Open(options.cursor_file); !error.empty()) {
      SayError("--cursor: " + error);
      return kExitLocalFile;
    }
  }
  const ServerOptions& server = options.server;
  const HttpClient http(server.endpoint, server.tls, server.timeout_ms);
  const TokenSource tokens(server.token, http);
  const SnapshotReader reader(http, tokens);
  OutputState state = OutputState::kOpen;
  Cursor cursor;
  size_t documents = 0;
  const auto print = [&](const SnapshotPage& page) {
    if (page.is_first && documents > 0) {
      notices.Say("the topic's history went on past the snapshot: beginning again");
      output.Add(format.Resync(options.topic, "snapshot_begins_again", page.cursor));
      documents = 0;
    }
    cursor = page.cursor;
    documents += page.documents.size();
    for (const auto& document : page.documents) output.Add(format.Document(options.topic, document, page.cursor));
    state = output.Flush();
    if (state == OutputState::kOpen) notices.Progress(std::to_string(documents) + " documents");
    return state == OutputState::kOpen;
  };
  RequestResult result;
  if (options.key.empty()) {
    result = reader.Read(options.topic, options.limit, print);
  } else {
    SnapshotPage page;
    result = reader.ReadDocument(options.topic, options.key, &page);
    if (result.error.empty()) print(page);
  }
  notices.ClearProgress();
  if (!result.error.empty()) {
    SayError(result.error);
    return result.exit_code;
  }
  if (state != OutputState::kOpen) return FinishOutput(&output, state);
  notices.Mention(std::to_string(documents) + " documents at watermark " + std::to_string(cursor.watermark) +
                  " of epoch " + std::to_string(cursor.epoch));
  if (!options.cursor_file.empty()) {
    cursor_file.Set(options.topic, cursor);
    if (output.Sync() != OutputState::kOpen) return FinishOutput(&output, OutputState::kFailed);
    if (const std::string error = cursor_file.Save(); !error.empty()) {
      SayError("--cursor: " + error);
      return kExitLocalFile;
    }
  }
  if (!options.key.empty() && documents == 0) {
    SayError("there is no document " + options.key + " on " + options.topic);
    return kExitProblem;
  }
  return kExitOk;
}

}  // namespace oasync::terminal
