// JournalSession: one connection to the journal and the queries that the fan-out asks it.
//
// Used by one thread. After a failed call the session may be closed: look at open() before the next one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
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

// A question that is asked in one statement. Parameters and results are in binary format.
struct Question {
  const char* name = nullptr;  // of the prepared statement: one per text
  const char* sql = nullptr;   // "@" stands for the extension's schema
  std::vector<std::string> parameters{};
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
  // Prepares the question's statement when it is asked for the first time over this connection: a function that is not
  // there fails it with 42883, and nothing else. A serialization failure (40001) is asked again a few times.
  PgStatus Ask(const Question& question, TimePoint deadline, PgResultRef* result);
  // Ends another backend of the same role.
  PgStatus Terminate(int backend_pid, TimePoint deadline);

 private:
  // What an extension of an earlier version, or a role with the rights of one, does not have.
  struct Extras {
    bool histories = false;
    bool policies = false;
    bool operator==(const Extras&) const = default;
  };

  PgStatus FindSchema(TimePoint deadline);
  PgStatus LookForExtras(TimePoint deadline);
  PgStatus LookAgainForExtras(TimePoint deadline);
  PgStatus PrepareAll(TimePoint deadline);
  PgStatus PrepareHeads(TimePoint deadline);
  PgStatus Malformed(const char* what);

  PgConnection connection_;
  const std::string configured_schema_;
  std::string schema_;  // quoted
  uint64_t epoch_ = 0;
  Extras extras_;
  TimePoint next_look_{};                  // for what is missing of them
  std::unordered_set<std::string> asked_;  // names of questions that are prepared
};

}  // namespace oasync::pg
