// Tail: the life of one `oa-sync tail`, over as many connections as it takes.
//
// The order that nothing is lost in: a batch is formatted, handed to the kernel (and to the disk, when stdout is a
// file), then the follower's cursor moves, then the cursor file is written. Killed at any point, the next run begins
// at a place that was printed: it may repeat events, and leaves none out.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "backoff.h"
#include "cursor_file.h"
#include "event_format.h"
#include "follower.h"
#include "options.h"
#include "output.h"
#include "sync_connection.h"
#include "terminal.h"

namespace oasync::terminal {

class Tail {
 public:
  Tail(const TailOptions& options, Notices* notices, Output* output, EventFormat format);

  // Until its end; the exit code. What went wrong has been said.
  int Run();

 private:
  // What to do after an event: go on with this connection, get another one, or end with exit_code_.
  enum class Next : uint8_t { kGoOn, kReconnect, kEnd };

  bool Prepare();
  bool StartAtHeads(const std::vector<std::string>& topics);
  bool Connect();
  Next Serve();
  Next OnEvent(SyncEvent* event);
  Next OnBatch(const UpdateBatch& batch);
  Next PrintUpdates(const UpdateBatch& batch, int first);
  Next OnStale(const Json& stale);
  Next Resync(const Json& topic);
  Next ResyncFromDocuments(const std::string& topic, const std::string& reason, bool* no_source);
  Next Restart(const std::string& topic, const std::string& reason, const Json& snapshot);
  Next OnEndOfConnection(const SyncEvent& event);
  Next OnUnauthorized(const SyncEvent& event);
  void NoteBeginnings();
  void RenewToken();
  void LookAtToken();
  bool WaitToReconnect(const std::string& why);
  Next Flush();
  Next SaveCursors(bool now);
  Next End(int exit_code, const std::string& error = {});
  bool IsShown(const openagents::sync::v1::Update& update) const;
  void ShowProgress();
  int WaitMs() const;
  void Pause(int64_t wait_ms);

  const TailOptions& options_;
  Notices& notices_;
  Output& output_;
  const EventFormat format_;
  const TokenSource tokens_;
  Follower follower_;
  CursorFile cursor_file_;
  std::set<std::string> timed_;  // topics of which events before --since are not shown
  Backoff backoff_;
  std::unique_ptr<SyncConnection> connection_;
  std::string token_;
  int64_t renew_at_ms_ = 0;      // Unix milliseconds; 0: never
  bool token_on_trial_ = false;  // a reauthentication is under way
  bool was_joined_ = false;
  bool is_joined_ = false;
  bool was_live_ = false;
  int resyncs_in_a_row_ = 0;
  uint64_t printed_ = 0;
  uint64_t passed_ = 0;  // events, shown or not
  int64_t began_ms_ = 0;
  int64_t next_save_ms_ = 0;
  int64_t next_progress_ms_ = 0;
  int exit_code_ = 0;
};

}  // namespace oasync::terminal
