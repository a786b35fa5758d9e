// SlotWatch: what our slot costs the server and how far behind it is, asked now and then. Tail thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>

#include "clock.h"
#include "journal_reader.h"
#include "mailbox.h"

namespace oasync::pg {

// How old the newest WAL is that has not been received: positions of the server are noted, and forgotten when they
// have been received. Pure.
class WalLag {
 public:
  void Note(TimePoint now, uint64_t server_position);
  // Since the oldest noted position above `received`; zero when there is none.
  Millis Behind(TimePoint now, uint64_t received);
  void Clear() { noted_.clear(); }

 private:
  struct Position {
    TimePoint when;
    uint64_t wal = 0;
  };
  std::deque<Position> noted_;
};

class SlotWatch {
 public:
  SlotWatch(JournalReader* reader, std::function<void(Task)> post, PgSourceStats* stats);

  // `slot`: name of the slot that exists or is being created, empty for none; `received`: WAL position it brought.
  void Tick(TimePoint now, const std::string& slot, uint64_t received);
  // Asks whether the server ended the slot because of max_slot_wal_keep_size, as it does without a word; says and
  // counts it when so. To be called when a live slot was ended by the server, before the next Tick.
  void Inquire();
  // WAL that the server keeps because of the slot, when it was last asked.
  uint64_t retained_bytes() const { return retained_bytes_; }

 private:
  void Look();
  void OnLook(const std::string& slot, TimePoint asked, const ReadResult<PgResultRef>& result);

  JournalReader& reader_;
  const std::function<void(Task)> post_;
  PgSourceStats& stats_;
  std::string slot_;
  WalLag lag_;
  TimePoint next_look_{};
  bool under_way_ = false;
  uint64_t server_position_ = 0;
  uint64_t restart_position_ = 0;
  uint64_t retained_bytes_ = 0;
};

}  // namespace oasync::pg
