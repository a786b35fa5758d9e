// JournalSession: one connection to the journal and the queries that the fan-out asks it.
//
// Used by one thread. After a failed call the session may be closed: look at open() before the next one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "../source.h"
#include "conninfo.h"
#include "pg_connection.h"

namespace oasync::pg {

// Topics are [A-Za-z0-9_.:/-], 1 to 160 bytes; anything else is never sent to the server.
bool IsTopic(std::string_view topic);

// A topic to read on from `after`.
struct TopicCursor {
  std::string topic;
  uint64_t after = 0;
};

// Events of one topic of a poll, in order.
struct TopicRun {
  size_t index = 0;  // of the topic in the request
  std::vector<EventRef> events;
  bool more = false;  // a limit was reached: there may be more
};

// Where the server's transactions stand; see JournalTail for the use.
struct XactHorizon {
  uint64_t oldest_running = 0;  // every transaction below it has ended and is visible to later statements
  uint64_t assigned = 0;        // an id above those of all transactions begun before; 0 unless asked for
};

class JournalSession {
 public:
  // `schema`: empty to use that of the extension.
  JournalSession(int stop_fd, std::string schema) : connection_(stop_fd), configured_schema_(std::move(schema)) {}

  // Connects, finds the extension's schema, prepares the statements and reads the epoch.
  PgStatus Connect(Conninfo* info, int statement_timeout_ms, TimePoint deadline);
  void Close() { connection_.Close(); }
  bool open() const { return connection_.open(); }
  // The database's epoch when the session was connected.
  uint64_t epoch() const { return epoch_; }

  PgStatus Heads(const std::vector<std::string>& topics, TimePoint deadline, std::vector<TopicState>* states);
  // For each topic what it shares with earlier epochs; nothing when the extension or the role's rights are of 0.1.0.
  PgStatus Histories(const std::vector<std::string>& topics, TimePoint deadline,
                     std::vector<std::vector<SharedHistory>>* histories);
  PgStatus After(const std::string& topic, uint64_t after, uint32_t max_events, uint64_t max_bytes, TimePoint deadline,
                 std::vector<EventRef>* events);
  // After() for many topics in one round trip; topics without news are absent from `runs`. Updates that can't be
  // decoded end their run and are counted in *undecodable.
  PgStatus Poll(const std::vector<TopicCursor>& cursors, uint32_t max_events, uint64_t max_bytes, TimePoint deadline,
                std::vector<TopicRun>* runs, uint64_t* undecodable);
  // `assign`: take a transaction id of our own (not on a standby: there it stays 0).
  PgStatus Horizon(bool assign, TimePoint deadline, XactHorizon* horizon);
  // Ends another backend of the same role.
  PgStatus Terminate(int backend_pid, TimePoint deadline);

 private:
  PgStatus FindSchema(TimePoint deadline, std::string* quoted);
  PgStatus LookForHistories(const std::string& schema, TimePoint deadline);
  PgStatus PrepareAll(const std::string& schema, TimePoint deadline);
  PgStatus Malformed(const char* what);

  PgConnection connection_;
  const std::string configured_schema_;
  uint64_t epoch_ = 0;
  bool has_histories_ = false;
};

}  // namespace oasync::pg
