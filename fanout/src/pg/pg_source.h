// PgSource: the Source and the Database that are PostgreSQL with the oa_sync extension.
//
// Owns every thread and connection of the database side: one tail thread (live events), one connection for the
// tail's own journal reads, `journal_readers` threads for the reads that subscribers ask for, `document_readers` for
// snapshots and documents, and one for the server's own commands (connected when first used). Live events come
// from a temporary logical slot when there is one and from the journal while there is none; the sink sees one
// dense, ordered stream per followed topic either way. A lost connection, a crashed or promoted server and a
// dropped slot cost latency only.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "../base/current.h"
#include "../database.h"
#include "../parity_database.h"
#include "../source.h"

namespace oasync {

struct PgSourceOptions {
  std::string conninfo;              // libpq connection string or URI; several hosts as libpq allows
  int journal_readers = 2;           // threads (one connection each) for ReadHeads and ReadAfter
  int document_readers = 1;          // the same for ReadSnapshot and ReadDocument
  size_t max_queued_reads = 10'000;  // in each of the pools; more are answered with an error
  int journal_poll_ms = 100;         // how often the journal is asked while there is no live slot
  int gap_wait_ms = 100;             // how long a live gap waits before the journal is asked
  bool tail_auto = true;             // false: never use a logical slot
  int reconnect_min_ms = 100;        // first pause between attempts to connect; doubles up to the next
  int reconnect_max_ms = 3000;
  int read_timeout_ms = 10000;      // a read is answered within about this, with an error if need be
  uint64_t max_slot_wal_bytes = 0;  // a slot that holds more WAL is given up for a new one; 0: never
  std::string schema;               // empty: that of the extension oa_sync
};

// Why the tail mode changed.
enum class TailReason : uint8_t {
  kStarted,        // the journal answers for the first time
  kSlotLive,       // the slot delivers
  kSlotLost,       // its connection ended
  kServerGoing,    // the server shut down, or somebody ended its connection
  kSlotSilent,     // nothing was heard of it
  kSlotWal,        // it held more WAL than max_slot_wal_bytes
  kFormerPrimary,  // its server is not the primary any more
  kJournalFailed,  // nor does the journal answer
  kJournalBack,    // it does again
};
inline constexpr size_t kTailReasons = 9;
const char* TailReasonName(TailReason reason);

enum class SlotState : uint8_t { kNone, kConnecting, kCreating, kLive };

// Counters since the start; any thread may read them at any time.
struct PgSourceStats {
  std::atomic<uint64_t> connects{0};             // connections established (tail and readers), the first ones included
  std::atomic<uint64_t> reconnects{0};           // connections lost and to be established again
  std::atomic<uint64_t> journal_reads{0};        // queries of the journal and of heads that the server answered
  std::atomic<uint64_t> journal_errors{0};       // reads that ended in an error result
  std::atomic<uint64_t> database_answers{0};     // snapshots, documents and commands that the server answered
  std::atomic<uint64_t> database_errors{0};      // those that ended in an error
  std::atomic<uint64_t> events{0};               // events handed to the sink, voids included
  std::atomic<uint64_t> stream_messages{0};      // updates received from the slot, unfollowed topics included
  std::atomic<uint64_t> gaps_filled{0};          // live events that had to be read from the journal while on the slot
  std::atomic<uint64_t> decode_errors{0};        // updates that could not be understood
  std::atomic<uint64_t> followed_topics{0};      // gauge
  std::atomic<uint64_t> held_events{0};          // gauge: live events waiting for a lower watermark
  std::atomic<uint64_t> epoch{0};                // gauge: of the database, 0 before it is known
  std::atomic<int64_t> last_progress_us{0};      // Unix microseconds of the last sign of life of the tail
  std::atomic<uint64_t> slot_wal_position{0};    // last WAL position received from the slot, 0 while there is none
  std::atomic<uint64_t> stream_bytes{0};         // of the updates received from the slot
  std::atomic<uint8_t> slot_state{0};            // a SlotState
  Current<std::string> slot_name;                // of our slot, also while it is made; null or empty without one
  std::atomic<uint64_t> slot_invalidations{0};   // slots ended for max_slot_wal_keep_size
  std::atomic<uint64_t> slot_retained_bytes{0};  // gauge: WAL that the server keeps because of the slot
  std::atomic<uint64_t> slot_lag_bytes{0};       // gauge: WAL that the slot has yet to bring
  std::atomic<uint64_t> slot_lag_ms{0};          // gauge: age of the oldest of it, 0 when there is none
  std::array<std::atomic<uint64_t>, 3> mode_ms{};                  // milliseconds in each TailMode
  std::array<std::atomic<uint64_t>, kTailReasons> mode_changes{};  // by TailReason
  std::atomic<uint8_t> last_reason{0};                             // the TailReason of the last change
  std::atomic<int64_t> mode_changed_ms{0};                         // Unix milliseconds of the last change; 0: none yet
  std::atomic<uint8_t> tail_mode{0};                               // a TailMode
};

class PgSource : public Source, public Database, public OperatorDatabase, public ParityDatabase {
 public:
  // `sink` must outlive Stop(). Nothing is done before Start().
  PgSource(const PgSourceOptions& options, EventSink& sink);
  ~PgSource() override;  // stops
  PgSource(const PgSource&) = delete;
  PgSource& operator=(const PgSource&) = delete;

  // Empty when libpq understands the connection string; otherwise a line for the user without any secret in it.
  static std::string CheckConninfo(const std::string& conninfo);

  // Returns at once, whether the database is there or not. Call once.
  void Start();
  // Ends every thread within about a second, or a few where a server is slow to give up the slot that it is creating;
  // outstanding reads are answered with an error first. After it the sink is not called any more. Must not be called
  // from a callback.
  void Stop();

  const PgSourceStats& stats() const;

  void Follow(const std::string& topic) override;
  void Unfollow(const std::string& topic) override;
  void ReadHeads(std::vector<std::string> topics, HeadsCallback done) override;
  void ReadHistories(std::vector<std::string> topics, HistoriesCallback done) override;
  void ReadAfter(const std::string& topic, uint64_t after, uint32_t max_events, uint64_t max_bytes,
                 EventsCallback done) override;

  void ReadSnapshot(SnapshotQuestion question, DocumentCallback done) override;
  void ReadDocument(std::string topic, std::string doc_key, DocumentCallback done) override;
  void ReadRevocations(RevocationsCallback done) override;
  void Revoke(std::vector<Revocation> revocations, DoneCallback done) override;
  void EmitCanary(DoneCallback done) override;

  void ReadOverview(DocumentCallback done) override;
  void ReadTopics(TopicsQuestion question, DocumentCallback done) override;
  void ReadEvents(EventsQuestion question, DocumentCallback done) override;
  void ReadParity(DocumentCallback done) override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace oasync
