// ReplicationStream: one walsender connection with a temporary logical slot of the plugin oa_sync.
//
// A state machine for one thread that polls: nothing here waits (name resolution excepted). Advance() whenever the
// socket is ready or Deadline() has come; Next() then gives what was received. Creating the slot can take as long
// as the oldest open transaction. A stream that failed stays failed: open another one.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "clock.h"
#include "conninfo.h"
#include "pg_connection.h"

namespace oasync::pg {

class ReplicationStream {
 public:
  enum class State : uint8_t {
    kConnecting,
    kFindingSchema,
    kReadingEpoch,
    kCreatingSlot,
    kStarting,
    kStreaming,
    kFailed
  };

  // Begins to connect. `info` must outlive the stream; its hosts are rotated when connecting takes too long.
  // `schema`: empty for that of the extension.
  ReplicationStream(Conninfo* info, std::string schema, std::string slot_name, TimePoint now);

  State state() const { return state_; }
  const std::string& error() const { return error_; }  // one line, once failed
  // Once failed: the server said goodbye or is not ready yet, see PgStatus.
  bool not_yet() const { return not_yet_; }
  const std::string& slot_name() const { return slot_name_; }
  // Of the server, known from kCreatingSlot on.
  uint64_t epoch() const { return epoch_; }
  int backend_pid() const { return conn_ == nullptr ? 0 : PQbackendPID(conn_.get()); }
  uint64_t wal_position() const { return wal_position_; }
  // When the server was last heard of.
  TimePoint last_heard() const { return last_heard_; }

  // What to poll(2) for; fd is -1 once failed.
  int fd() const { return conn_ == nullptr ? -1 : PQsocket(conn_.get()); }
  short poll_events() const { return poll_events_; }
  TimePoint Deadline() const;

  // Reads and writes what can be; moves on to the next state.
  void Advance(TimePoint now);
  // While streaming: the next update received, or false when there is none for now. The view is good until the
  // next call of any member.
  bool Next(TimePoint now, std::string_view* update);
  // While streaming: tells the server what was received. Call it after Next() has returned false.
  void Acknowledge(TimePoint now);

 private:
  struct CopyFree {
    void operator()(char* buffer) const { PQfreemem(buffer); }
  };

  void Fail(std::string error);
  void FailWithServerError();
  void FailWith(const PGresult* answer);
  void AdvanceConnecting(TimePoint now);
  void AdvanceCommand(TimePoint now);
  void OnAnswer(const PGresult* answer, TimePoint now);
  void AskSchema(TimePoint now);
  void AskEpoch(const std::string& quoted_schema, TimePoint now);
  void Send(const std::string& command, State state, TimePoint now);
  void Flush();
  void SendStatus(TimePoint now, bool ask_reply);

  Conninfo* const info_;
  const std::string schema_;
  const std::string slot_name_;
  PgConnHandle conn_;
  PgResult answer_;  // of the command under way, until it is complete
  State state_ = State::kConnecting;
  std::string error_;
  bool not_yet_ = false;
  uint64_t epoch_ = 0;
  uint64_t wal_position_ = 0;
  uint64_t acknowledged_ = 0;
  bool reply_requested_ = false;
  short poll_events_ = 0;
  TimePoint state_since_;
  TimePoint last_heard_;
  TimePoint last_status_;
  std::unique_ptr<char, CopyFree> copied_;
};

}  // namespace oasync::pg
