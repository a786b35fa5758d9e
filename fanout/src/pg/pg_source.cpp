#include "pg_source.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "conninfo.h"
#include "database_reader.h"
#include "epoch_board.h"
#include "journal_reader.h"
#include "mailbox.h"
#include "tail_loop.h"

namespace oasync {

namespace {

using pg::Millis;

// The tail asks again anyway; a shorter patience shows sooner that the database is away.
constexpr Millis kTailReadTimeout{3000};
// What Stop() spends at most on ending the backend that is creating our slot: behind a read that hangs, and a
// connection that has to be made anew on a busy server. What is left behind keeps WAL for as long as the oldest
// transaction lasts.
constexpr Millis kTerminateTimeout{8000};

pg::JournalReaderOptions ReaderOptions(const PgSourceOptions& options, const pg::Conninfo& conninfo,
                                       const std::string& name, int threads) {
  pg::JournalReaderOptions reader;
  reader.name = name;
  reader.conninfo = conninfo;
  reader.schema = options.schema;
  reader.threads = threads;
  reader.read_timeout = Millis(options.read_timeout_ms);
  reader.reconnect_min = Millis(options.reconnect_min_ms);
  reader.reconnect_max = Millis(options.reconnect_max_ms);
  reader.max_queued = options.max_queued_reads;
  return reader;
}

}  // namespace

const char* TailReasonName(TailReason reason) {
  switch (reason) {
    case TailReason::kStarted:
      return "started";
    case TailReason::kSlotLive:
      return "slot_live";
    case TailReason::kSlotLost:
      return "slot_lost";
    case TailReason::kServerGoing:
      return "server_going";
    case TailReason::kSlotSilent:
      return "slot_silent";
    case TailReason::kSlotWal:
      return "slot_wal";
    case TailReason::kFormerPrimary:
      return "former_primary";
    case TailReason::kJournalFailed:
      return "journal_failed";
    case TailReason::kJournalBack:
      break;
  }
  return "journal_back";
}

class PgSource::Impl {
 public:
  Impl(const PgSourceOptions& options, EventSink& sink)
      : conninfo_(pg::Conninfo::Parse(options.conninfo, &conninfo_error_)),
        board_([this] { mailbox_.Wake(); }),
        subscribers_(ReaderOptions(options, conninfo_, "journal", std::max(options.journal_readers, 1)), &board_,
                     &stats_),
        reader_(TailReaderOptions(options), &board_, &stats_),
        database_(ReaderOptions(options, conninfo_, {}, 1), options.document_readers, &board_, &stats_),
        tail_(options, conninfo_, &sink, &reader_, &mailbox_, &board_, &stats_, [this](pg::TimePoint now) {
          subscribers_.Expire(now);
          database_.Expire(now);
        }) {}

  ~Impl() { Stop(); }

  void Start() {
    subscribers_.Start();
    reader_.Start();
    database_.Start();
    tail_.Start();
  }

  void Stop() {
    if (std::exchange(stopped_, true)) return;
    tail_.Stop();
    if (tail_.abandoned_backend() != 0) EndAbandonedBackend(tail_.abandoned_backend());
    reader_.Stop();
    subscribers_.Stop();
    database_.Stop();
    mailbox_.Close();
  }

  pg::Mailbox& mailbox() { return mailbox_; }
  pg::JournalReader& subscribers() { return subscribers_; }
  pg::DatabaseReader& database() { return database_; }
  pg::TailLoop& tail() { return tail_; }
  const PgSourceStats& stats() const { return stats_; }

 private:
  pg::JournalReaderOptions TailReaderOptions(const PgSourceOptions& options) {
    pg::JournalReaderOptions reader = ReaderOptions(options, conninfo_, "tail journal", 1);
    reader.read_timeout = std::min(reader.read_timeout, kTailReadTimeout);
    reader.on_connect = [this] { mailbox_.Post([this] { tail_.CheckHeads(); }); };
    return reader;
  }

  // A backend that waits for old transactions would hold its half-made slot, and WAL with it, until they end.
  void EndAbandonedBackend(int pid) {
    struct Done {
      std::mutex mutex;
      std::condition_variable changed;
      bool done = false;
    };
    const auto done = std::make_shared<Done>();
    reader_.Terminate(
        pid,
        [done] {
          const std::lock_guard lock(done->mutex);
          done->done = true;
          done->changed.notify_one();
        },
        kTerminateTimeout);
    std::unique_lock lock(done->mutex);
    done->changed.wait_for(lock, kTerminateTimeout, [&] { return done->done; });
  }

  PgSourceStats stats_;
  std::string conninfo_error_;
  const pg::Conninfo conninfo_;
  pg::Mailbox mailbox_;
  pg::EpochBoard board_;
  pg::JournalReader subscribers_;
  pg::JournalReader reader_;
  pg::DatabaseReader database_;
  pg::TailLoop tail_;
  bool stopped_ = false;
};

PgSource::PgSource(const PgSourceOptions& options, EventSink& sink) : impl_(std::make_unique<Impl>(options, sink)) {}

PgSource::~PgSource() = default;

std::string PgSource::CheckConninfo(const std::string& conninfo) {
  std::string error;
  pg::Conninfo::Parse(conninfo, &error);
  return error;
}

void PgSource::Start() { impl_->Start(); }

void PgSource::Stop() { impl_->Stop(); }

const PgSourceStats& PgSource::stats() const { return impl_->stats(); }

void PgSource::Follow(const std::string& topic) {
  impl_->mailbox().Post([impl = impl_.get(), topic] { impl->tail().Follow(topic); });
}

void PgSource::Unfollow(const std::string& topic) {
  impl_->mailbox().Post([impl = impl_.get(), topic] { impl->tail().Unfollow(topic); });
}

void PgSource::ReadHeads(std::vector<std::string> topics, HeadsCallback done) {
  impl_->subscribers().Heads(std::move(topics), std::move(done));
}

void PgSource::ReadHistories(std::vector<std::string> topics, HistoriesCallback done) {
  impl_->subscribers().Histories(std::move(topics), std::move(done));
}

void PgSource::ReadAfter(const std::string& topic, uint64_t after, uint32_t max_events, uint64_t max_bytes,
                         EventsCallback done) {
  impl_->subscribers().After(topic, after, max_events, max_bytes, std::move(done));
}

void PgSource::ReadSnapshot(SnapshotQuestion question, DocumentCallback done) {
  impl_->database().ReadSnapshot(std::move(question), std::move(done));
}

void PgSource::ReadDocument(std::string topic, std::string doc_key, DocumentCallback done) {
  impl_->database().ReadDocument(topic, std::move(doc_key), std::move(done));
}

void PgSource::ReadRevocations(RevocationsCallback done) { impl_->database().ReadRevocations(std::move(done)); }

void PgSource::Revoke(std::vector<Revocation> revocations, DoneCallback done) {
  impl_->database().Revoke(revocations, std::move(done));
}

void PgSource::EmitCanary(DoneCallback done) { impl_->database().EmitCanary(std::move(done)); }

void PgSource::ReadOverview(DocumentCallback done) { impl_->database().ReadOverview(std::move(done)); }

void PgSource::ReadTopics(TopicsQuestion question, DocumentCallback done) {
  impl_->database().ReadTopics(question, std::move(done));
}

void PgSource::ReadEvents(EventsQuestion question, DocumentCallback done) {
  impl_->database().ReadEvents(question, std::move(done));
}

void PgSource::ReadParity(DocumentCallback done) { impl_->database().ReadParity(std::move(done)); }

}  // namespace oasync
