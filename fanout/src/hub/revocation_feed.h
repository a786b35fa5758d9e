// RevocationFeed: keeps a server's RevocationList as the database has it, and tells who has to go.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "auth/revocation_list.h"
#include "base/clock.h"
#include "database.h"
#include "event.h"
#include "hub/system_topics.h"

namespace oasync {

// Reads everything that is revoked whenever the server (again) follows the topic of revocations, and takes each later
// one from its event: between the two nothing is missed. Thread-safe. Every reference must outlive it, and the database
// must have stopped answering before it ends.
class RevocationFeed {
 public:
  // Told of those that are new, after the list has them. Any thread; must be quick.
  using Notify = std::function<void(const std::vector<Revocation>&)>;

  RevocationFeed(Database& database, SystemTopics& topics, RevocationList& list, const Clock& clock, Notify notify);

  // Asks again after a failure, and has the list forget what has ended. To be called every second or so, from the
  // start on: the first call reads what is revoked also when the topic cannot be followed yet.
  void Tick();

 private:
  void OnEvent(const Event& event);
  void Read();
  void OnAnswer(const RevocationAnswer& answer);
  void Take(const std::vector<Revocation>& revocations);
  int64_t NowS() const { return clock_.WallMs() / 1000; }

  Database& database_;
  RevocationList& list_;
  const Clock& clock_;
  const Notify notify_;
  std::mutex mutex_;  // guards what follows
  bool is_reading_ = false;
  bool is_wanted_ = true;   // to be read (again)
  int64_t read_at_ms_ = 0;  // not before (steady)
  int64_t pause_ms_ = 0;    // after the next failure
  // An event had no payload. Its commit is told before others see its rows, with synchronous standbys long before: so
  // long after the next answer the table is read once more, and after twice as long again; 0 at last.
  int64_t doubt_ms_ = 0;
  std::string last_error_;  // said once
  bool overflow_said_ = false;
};

// A revocation as its event tells it; nothing when it does not.
std::optional<Revocation> ParseRevocation(const Event& event);

}  // namespace oasync
