#include "journal_reader.h"

#include <poll.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "base/log.h"

namespace oasync::pg {

// A read on its way: what to ask and whom to tell.
class JournalReader::Request {
 public:
  Request(std::string key, TimePoint deadline) : key(std::move(key)), deadline(deadline) {}
  virtual ~Request() = default;
  virtual PgStatus Run(JournalSession& session) = 0;
  virtual void Answer(std::string error, std::string sqlstate) = 0;

  const std::string key;
  const TimePoint deadline;
};

template <typename T>
class JournalReader::TypedRequest : public Request {
 public:
  using Work = std::function<PgStatus(JournalSession&, TimePoint, T*)>;
  using Done = std::function<void(ReadResult<T>)>;

  TypedRequest(std::string key, TimePoint deadline, Work work, Done done)
      : Request(std::move(key), deadline), work_(std::move(work)) {
    Join(std::move(done));
  }
  void Join(Done done) { done_.push_back(std::move(done)); }
  PgStatus Run(JournalSession& session) override { return work_(session, deadline, &result_.value); }
  void Answer(std::string error, std::string sqlstate) override {
    result_.error = std::move(error);
    result_.sqlstate = std::move(sqlstate);
    if (!result_.ok()) result_.value = T{};
    for (size_t i = 0; i + 1 < done_.size(); ++i) done_[i](result_);
    done_.back()(std::move(result_));
  }

 private:
  const Work work_;
  ReadResult<T> result_;
  std::vector<Done> done_;
};

// One thread and its connection.
class JournalReader::Worker {
 public:
  explicit Worker(JournalReader* reader)
      : reader_(*reader),
        conninfo_(reader->options_.conninfo),
        session_(reader->stop_.fd(), reader->options_.schema),
        backoff_(reader->options_.reconnect_min, reader->options_.reconnect_max) {}

  void Run() {
    if (reader_.options_.connect_early) Connect();  // a failure is tried again
    while (const auto request = reader_.Take()) Serve(*request);
  }

 private:
  void Serve(Request& request) {
    std::string error;
    sqlstate_.clear();
    try {
      error = Obtain(request);
    } catch (const std::exception& e) {
      session_.Close();
      error = std::string("internal error: ") + e.what();
      LogError("database.internal_error", "{reader}: {error}", {{"reader", reader_.options_.name}, {"error", error}});
    }
    if (!error.empty()) reader_.CountErrors(1);
    try {
      request.Answer(std::move(error), std::move(sqlstate_));
    } catch (const std::exception& e) {
      LogError("database.callback_failed", "{reader}: a callback threw: {error}",
               {{"reader", reader_.options_.name}, {"error", e.what()}});
    }
  }

  // Runs the request, over several connections if need be; empty on success, otherwise the error.
  std::string Obtain(Request& request) {
    for (;;) {
      // Another connection has met a later history: this one leads to a former primary, which may not even answer.
      if (session_.open() && session_.epoch() < reader_.board_->current()) session_.Close();
      if (!session_.open() && !Connect()) {
        if (Clock::now() >= request.deadline || !Pause(request.deadline)) return last_error_;
        continue;
      }
      PgStatus status = request.Run(session_);
      if (status.ok()) {
        (reader_.stats_->*reader_.options_.answered).fetch_add(1, std::memory_order_relaxed);
        if (session_.epoch() == reader_.board_->current()) return {};
        // The answer is of another history than what is being delivered; ask again over a new connection.
        session_.Close();
        last_error_ = "the database's epoch has changed";
        if (Clock::now() >= request.deadline || !Pause(request.deadline)) return last_error_;
        continue;
      }
      last_error_ = status.message;
      not_yet_ = status.not_yet;
      if (status.fault == PgFault::kConnection) Lost(status.message);
      if (status.fault == PgFault::kConnection && Clock::now() < request.deadline) continue;
      sqlstate_ = std::move(status.sqlstate);
      return last_error_;
    }
  }

  bool Connect() {
    const TimePoint deadline = Clock::now() + Millis(conninfo_.connect_timeout_ms());
    const int statement_timeout = static_cast<int>(reader_.options_.read_timeout.count());
    const PgStatus status = session_.Connect(&conninfo_, statement_timeout, deadline);
    if (status.ok() && reader_.board_->Offer(session_.epoch())) {
      reader_.stats_->connects.fetch_add(1, std::memory_order_relaxed);
      if (down_ || !connected_once_)
        LogInfo("database.connected", "{reader}: connected, epoch {epoch}",
                {{"reader", reader_.options_.name}, {"epoch", session_.epoch()}});
      down_ = false;
      connected_once_ = true;
      backoff_.Reset();
      reader_.options_.on_connect();
      return true;
    }
    // One that takes writes is taken for the primary wherever it is in the list: the next attempt begins behind it.
    if (status.ok()) conninfo_.RotateHosts();
    last_error_ = status.ok() ? "the server is behind in epochs (a former primary?)" : status.message;
    not_yet_ = status.not_yet;
    session_.Close();
    if (!down_ && status.fault != PgFault::kStopped) {
      LogWarn("database.cannot_connect", "{reader}: cannot connect, trying on: {error}",
              {{"reader", reader_.options_.name}, {"error", last_error_}});
      down_ = true;
    }
    return false;
  }

  void Lost(const std::string& why) {
    session_.Close();
    reader_.stats_->reconnects.fetch_add(1, std::memory_order_relaxed);
    if (!down_)
      LogWarn("database.connection_lost", "{reader}: connection lost: {why}",
              {{"reader", reader_.options_.name}, {"why", why}});
    down_ = true;
  }

  // Waits before the next attempt; false when stopping.
  bool Pause(TimePoint deadline) {
    const TimePoint now = Clock::now();
    // What is starting is asked at a steady pace, and what is away ever more seldom.
    if (not_yet_) backoff_.Reset();
    const TimePoint until = std::min(deadline, now + backoff_.Next());
    pollfd stop{reader_.stop_.fd(), POLLIN, 0};
    return poll(&stop, 1, PollTimeout(now, until, 60'000)) <= 0;
  }

  JournalReader& reader_;
  Conninfo conninfo_;
  JournalSession session_;
  Backoff backoff_;
  std::string last_error_ = "not connected";
  std::string sqlstate_;  // of the answer that is being given
  bool not_yet_ = false;
  bool down_ = false;
  bool connected_once_ = false;
};

JournalReader::JournalReader(JournalReaderOptions options, EpochBoard* board, PgSourceStats* stats)
    : options_(std::move(options)), board_(board), stats_(stats) {}

JournalReader::~JournalReader() { Stop(); }

void JournalReader::Start() {
  for (int i = 0; i < options_.threads; ++i) {
    threads_.emplace_back([this] {
      try {
        Worker(this).Run();
      } catch (const std::exception& e) {
        LogCritical("database.reader_ended", "{reader}: reader thread ended: {error}",
                    {{"reader", options_.name}, {"error", e.what()}});
      }
    });
  }
}

void JournalReader::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.Set();
  queued_.notify_all();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
  std::deque<std::unique_ptr<Request>> left;
  std::vector<std::unique_ptr<Request>> rejected;
  {
    const std::lock_guard lock(mutex_);
    left.swap(queue_);
    rejected.swap(rejected_);
    joinable_.clear();
  }
  for (const auto& request : left) request->Answer("stopping", {});
  for (const auto& request : rejected) request->Answer("stopping", {});
}

std::unique_ptr<JournalReader::Request> JournalReader::Take() {
  std::unique_lock lock(mutex_);
  queued_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
  if (stopping_) return nullptr;
  auto request = std::move(queue_.front());
  queue_.pop_front();
  if (!request->key.empty()) joinable_.erase(request->key);
  return request;
}

void JournalReader::Expire(TimePoint now) {
  std::vector<std::unique_ptr<Request>> expired;
  std::vector<std::unique_ptr<Request>> rejected;
  {
    const std::lock_guard lock(mutex_);
    rejected.swap(rejected_);
    // All requests have the same patience, so the oldest are in front.
    while (!queue_.empty() && queue_.front()->deadline <= now) {
      if (!queue_.front()->key.empty()) joinable_.erase(queue_.front()->key);
      expired.push_back(std::move(queue_.front()));
      queue_.pop_front();
    }
  }
  CountErrors(expired.size() + rejected.size());
  for (const auto& request : rejected) request->Answer("too many reads are waiting for the database", {});
  for (const auto& request : expired) request->Answer("no answer from the database in time", {});
}

void JournalReader::CountErrors(size_t count) {
  (stats_->*options_.failed).fetch_add(count, std::memory_order_relaxed);
}

template <typename T>
void JournalReader::Submit(std::string key, std::function<PgStatus(JournalSession&, TimePoint, T*)> work,
                           std::function<void(ReadResult<T>)> done, std::optional<Millis> patience) {
  const std::lock_guard lock(mutex_);
  if (!key.empty()) {
    if (const auto found = joinable_.find(key); found != joinable_.end()) {
      // A key begins with the kind of the request, so that the type is right.
      static_cast<TypedRequest<T>*>(found->second)->Join(std::move(done));
      return;
    }
  }
  auto request = std::make_unique<TypedRequest<T>>(
      std::move(key), Clock::now() + patience.value_or(options_.read_timeout), std::move(work), std::move(done));
  // Stop() or the next Expire() answers it: not here, because the caller may hold a lock of its own.
  if (stopping_ || queue_.size() >= options_.max_queued) {
    rejected_.push_back(std::move(request));
    return;
  }
  if (!request->key.empty()) joinable_.emplace(request->key, request.get());
  queue_.push_back(std::move(request));
  queued_.notify_one();
}

void JournalReader::Heads(std::vector<std::string> topics, HeadsCallback done) {
  std::string key = "heads";
  for (const auto& topic : topics) {
    key += '|';
    key += topic;
  }
  // Only topics keep the key unambiguous; anything else is refused by the session.
  if (!std::all_of(topics.begin(), topics.end(), IsTopic)) key.clear();
  Submit<std::vector<TopicState>>(
      std::move(key),
      [topics = std::move(topics)](JournalSession& session, TimePoint deadline, std::vector<TopicState>* states) {
        return session.Heads(topics, deadline, states);
      },
      std::move(done));
}

void JournalReader::Histories(std::vector<std::string> topics, HistoriesCallback done) {
  Submit<std::vector<std::vector<SharedHistory>>>(
      {},
      [topics = std::move(topics)](JournalSession& session, TimePoint deadline,
                                   std::vector<std::vector<SharedHistory>>* histories) {
        return session.Histories(topics, deadline, histories);
      },
      std::move(done));
}

void JournalReader::After(const std::string& topic, uint64_t after, uint32_t max_events, uint64_t max_bytes,
                          EventsCallback done) {
  std::string key = "after|" + topic + '|' + std::to_string(after) + '|' + std::to_string(max_events) + '|' +
                    std::to_string(max_bytes);
  Submit<std::vector<EventRef>>(
      std::move(key),
      [=](JournalSession& session, TimePoint deadline, std::vector<EventRef>* events) {
        return session.After(topic, after, max_events, max_bytes, deadline, events);
      },
      std::move(done));
}

void JournalReader::Poll(std::vector<TopicCursor> cursors, uint32_t max_events, uint64_t max_bytes, PollCallback done) {
  Submit<PollAnswer>(
      {},
      [cursors = std::move(cursors), max_events, max_bytes](JournalSession& session, TimePoint deadline,
                                                            PollAnswer* answer) {
        *answer = {};
        answer->epoch = session.epoch();
        return session.Poll(cursors, max_events, max_bytes, deadline, &answer->runs, &answer->undecodable);
      },
      std::move(done));
}

void JournalReader::Horizon(bool assign, HorizonCallback done) {
  Submit<XactHorizon>(
      {},
      [assign](JournalSession& session, TimePoint deadline, XactHorizon* horizon) {
        return session.Horizon(assign, deadline, horizon);
      },
      std::move(done));
}

void JournalReader::Ask(std::string key, Question question, AskCallback done) {
  Submit<PgResultRef>(
      std::move(key),
      [question = std::move(question)](JournalSession& session, TimePoint deadline, PgResultRef* result) {
        return session.Ask(question, deadline, result);
      },
      std::move(done));
}

void JournalReader::Terminate(int backend_pid, std::function<void()> done, std::optional<Millis> patience) {
  Submit<bool>(
      {},
      [backend_pid](JournalSession& session, TimePoint deadline, bool*) {
        return session.Terminate(backend_pid, deadline);
      },
      [done = std::move(done)](const ReadResult<bool>&) { done(); }, patience);
}

}  // namespace oasync::pg
