// JournalReader: a pool of threads, one connection each, that answer reads of the journal.
//
// Requests wait in one bounded queue. Equal requests that nobody has begun yet are answered together, so an answer
// always shows the journal as it was after the request. A lost connection is established again and the request
// repeated until its time is over; every request is answered once, if need be with an error.
// Callbacks run on a thread of the pool, or on the caller of Expire() or Stop().
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "clock.h"
#include "conninfo.h"
#include "epoch_board.h"
#include "journal_session.h"
#include "pg_source.h"
#include "wake_fd.h"

namespace oasync::pg {

struct JournalReaderOptions {
  std::string name;  // for the log
  Conninfo conninfo;
  std::string schema;  // empty: that of the extension
  int threads = 1;
  Millis read_timeout{10'000};
  Millis reconnect_min{100};
  Millis reconnect_max{3000};
  size_t max_queued = 10'000;
  bool connect_early = true;  // before the first request
  // What the answers and the errors are counted in.
  std::atomic<uint64_t> PgSourceStats::*answered = &PgSourceStats::journal_reads;
  std::atomic<uint64_t> PgSourceStats::*failed = &PgSourceStats::journal_errors;
  // Called by a thread of the pool each time it has connected, before it answers anything over that connection.
  std::function<void()> on_connect = [] {};
};

// Answer of a poll: runs of events, from a session of this epoch.
struct PollAnswer {
  uint64_t epoch = 0;
  std::vector<TopicRun> runs;
  uint64_t undecodable = 0;
};

using PollCallback = std::function<void(ReadResult<PollAnswer>)>;
using AskCallback = std::function<void(ReadResult<PgResultRef>)>;
using HorizonCallback = std::function<void(ReadResult<XactHorizon>)>;

class JournalReader {
 public:
  // `board` and `stats` must outlive the reader.
  JournalReader(JournalReaderOptions options, EpochBoard* board, PgSourceStats* stats);
  ~JournalReader();  // stops
  JournalReader(const JournalReader&) = delete;
  JournalReader& operator=(const JournalReader&) = delete;

  void Start();
  // Interrupts what is under way and answers everything that is left with an error. Any number of times.
  void Stop();

  void Heads(std::vector<std::string> topics, HeadsCallback done);
  void Histories(std::vector<std::string> topics, HistoriesCallback done);
  void After(const std::string& topic, uint64_t after, uint32_t max_events, uint64_t max_bytes, EventsCallback done);
  void Poll(std::vector<TopicCursor> cursors, uint32_t max_events, uint64_t max_bytes, PollCallback done);
  void Horizon(bool assign, HorizonCallback done);
  // A question of another kind; a non-empty key, one per kind and parameters, lets equal ones be answered together.
  void Ask(std::string key, Question question, AskCallback done);
  // Ends a backend of ours. With a `patience` of its own it has to be the last request: Expire() takes those in front
  // for the oldest.
  void Terminate(int backend_pid, std::function<void()> done, std::optional<Millis> patience = {});

  // Answers the queued requests whose time is over, or that found the queue full. To be called now and then.
  void Expire(TimePoint now);

 private:
  class Request;
  template <typename T>
  class TypedRequest;
  class Worker;

  // Queues a request that may take `patience`; a non-empty key lets it join an equal one that waits.
  template <typename T>
  void Submit(std::string key, std::function<PgStatus(JournalSession&, TimePoint, T*)> work,
              std::function<void(ReadResult<T>)> done, std::optional<Millis> patience = {});
  std::unique_ptr<Request> Take();  // waits; null when stopping
  void CountErrors(size_t count);

  const JournalReaderOptions options_;
  EpochBoard* const board_;
  PgSourceStats* const stats_;
  WakeFd stop_;

  std::mutex mutex_;
  std::condition_variable queued_;
  std::deque<std::unique_ptr<Request>> queue_;
  std::vector<std::unique_ptr<Request>> rejected_;
  std::unordered_map<std::string, Request*> joinable_;  // by key; only what is in queue_
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace oasync::pg
