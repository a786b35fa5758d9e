#include "replication_stream.h"

#include <poll.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "pg_binary.h"
#include "replication_protocol.h"

namespace oasync::pg {

namespace {

constexpr char kApplicationName[] = "oa-sync-fanout tail";

// A command other than creating the slot is answered within this, or the connection is given up.
constexpr Millis kCommandTimeout{20'000};
// The server is asked for a sign of life when it has been silent this long …
constexpr Millis kAskAfterSilence{2000};
// … and the connection is given up after this (a walsender may be silent while it decodes a huge transaction).
constexpr Millis kSilenceTimeout{60'000};
// Received positions are told at most this often unless the server asks.
constexpr Millis kStatusInterval{1000};

}  // namespace

ReplicationStream::ReplicationStream(Conninfo* info, std::string schema, std::string slot_name, TimePoint now)
    : info_(info),
      schema_(std::move(schema)),
      slot_name_(std::move(slot_name)),
      conn_(StartConnection(*info, kApplicationName, /*replication=*/true)),
      state_since_(now),
      last_heard_(now),
      last_status_(now) {
  if (conn_ == nullptr) {
    Fail("out of memory");
  } else if (PQstatus(conn_.get()) == CONNECTION_BAD) {
    FailWithServerError();
  }
  poll_events_ = POLLOUT;
}

void ReplicationStream::Fail(std::string error) {
  state_ = State::kFailed;
  error_ = error.empty() ? "connection lost" : std::move(error);
  copied_.reset();
  conn_.reset();
}

void ReplicationStream::FailWithServerError() {
  std::string error = ConnectError(conn_.get(), &not_yet_);
  Fail(std::move(error));
}

void ReplicationStream::FailWith(const PGresult* answer) {
  const char* sqlstate = PQresultErrorField(answer, PG_DIAG_SQLSTATE);
  not_yet_ = sqlstate != nullptr && IsServerGoing(sqlstate);
  std::string message = OneLine(PQresultErrorMessage(answer));
  if (message.empty()) message = OneLine(PQerrorMessage(conn_.get()));
  Fail(std::move(message));
}

TimePoint ReplicationStream::Deadline() const {
  switch (state_) {
    case State::kConnecting:
      return state_since_ + Millis(info_->connect_timeout_ms());
    case State::kFindingSchema:
    case State::kReadingEpoch:
    case State::kStarting:
      return state_since_ + kCommandTimeout;
    case State::kStreaming: {
      const TimePoint ask = std::max(last_heard_, last_status_) + kAskAfterSilence;
      return std::min(ask, last_heard_ + kSilenceTimeout);
    }
    case State::kCreatingSlot:
    case State::kFailed:
      break;
  }
  return TimePoint::max();
}

void ReplicationStream::Advance(TimePoint now) {
  copied_.reset();
  switch (state_) {
    case State::kConnecting:
      AdvanceConnecting(now);
      return;
    case State::kFindingSchema:
    case State::kReadingEpoch:
    case State::kCreatingSlot:
    case State::kStarting:
      AdvanceCommand(now);
      return;
    case State::kStreaming:
      if (now >= last_heard_ + kSilenceTimeout) return Fail("the server is silent");
      if (now >= std::max(last_heard_, last_status_) + kAskAfterSilence) SendStatus(now, /*ask_reply=*/true);
      if (state_ == State::kStreaming && PQconsumeInput(conn_.get()) == 0) FailWithServerError();
      if (state_ == State::kStreaming) Flush();
      return;
    case State::kFailed:
      return;
  }
}

void ReplicationStream::AdvanceConnecting(TimePoint now) {
  pollfd ready{PQsocket(conn_.get()), poll_events_, 0};
  if (poll(&ready, 1, 0) > 0) {
    switch (PQconnectPoll(conn_.get())) {
      case PGRES_POLLING_FAILED:
        return FailWithServerError();
      case PGRES_POLLING_READING:
        poll_events_ = POLLIN;
        break;
      case PGRES_POLLING_OK:
        if (PQsetnonblocking(conn_.get(), 1) != 0) return FailWithServerError();
        PQsetErrorVerbosity(conn_.get(), PQERRORS_DEFAULT);
        return schema_.empty() ? AskSchema(now) : AskEpoch(QuoteIdentifier(schema_), now);
      default:
        poll_events_ = POLLOUT;
    }
  }
  if (now >= Deadline()) {
    info_->RotateHosts();
    Fail("no connection in time");
  }
}

void ReplicationStream::Send(const std::string& command, State state, TimePoint now) {
  state_ = state;
  state_since_ = now;
  last_heard_ = now;
  if (PQsendQuery(conn_.get(), command.c_str()) != 1) return FailWithServerError();
  Flush();
}

void ReplicationStream::Flush() {
  const int unsent = PQflush(conn_.get());
  if (unsent < 0) return FailWithServerError();
  poll_events_ = unsent > 0 ? POLLIN | POLLOUT : POLLIN;
}

void ReplicationStream::AdvanceCommand(TimePoint now) {
  if (PQconsumeInput(conn_.get()) == 0) return FailWithServerError();
  Flush();
  while (state_ != State::kFailed) {
    if (PQisBusy(conn_.get()) != 0) {
      if (now >= Deadline()) Fail("no answer in time");
      return;
    }
    PgResult next(PQgetResult(conn_.get()));
    if (next == nullptr) {
      const PgResult answer = std::move(answer_);
      return OnAnswer(answer.get(), now);
    }
    const ExecStatusType status = PQresultStatus(next.get());
    if (status == PGRES_COPY_BOTH && state_ == State::kStarting) {
      state_ = State::kStreaming;
      last_heard_ = last_status_ = now;
      return;
    }
    if (status != PGRES_TUPLES_OK) return FailWith(next.get());
    answer_ = std::move(next);
  }
}

void ReplicationStream::OnAnswer(const PGresult* answer, TimePoint now) {
  if (answer == nullptr) return Fail("no answer");
  if (state_ == State::kFindingSchema) {
    if (PQntuples(answer) != 1) return Fail("the extension oa_sync is not installed in this database");
    return AskEpoch(std::string(Field(answer, 0, 0)), now);
  }
  if (state_ == State::kReadingEpoch) {
    const std::string text(PQntuples(answer) == 1 ? Field(answer, 0, 0) : std::string_view());
    epoch_ = std::strtoull(text.c_str(), nullptr, 10);
    return Send("CREATE_REPLICATION_SLOT \"" + slot_name_ + "\" TEMPORARY LOGICAL \"oa_sync\" (SNAPSHOT 'nothing')",
                State::kCreatingSlot, now);
  }
  if (state_ == State::kCreatingSlot) {
    return Send(
        "START_REPLICATION SLOT \"" + slot_name_ + "\" LOGICAL 0/0 (\"protocol_version\" '1', \"format\" 'binary')",
        State::kStarting, now);
  }
  Fail("the server ended the stream");
}

void ReplicationStream::AskSchema(TimePoint now) {
  Send(
      "SELECT pg_catalog.quote_ident(n.nspname) FROM pg_catalog.pg_extension e"
      " JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'oa_sync'",
      State::kFindingSchema, now);
}

void ReplicationStream::AskEpoch(const std::string& quoted_schema, TimePoint now) {
  // An unknown topic is answered with the database's epoch.
  Send("SELECT epoch FROM " + quoted_schema + ".sync_topic_heads(ARRAY['oa_sync.epoch'])", State::kReadingEpoch, now);
}

bool ReplicationStream::Next(TimePoint now, std::string_view* update) {
  while (state_ == State::kStreaming) {
    char* buffer = nullptr;
    const int size = PQgetCopyData(conn_.get(), &buffer, /*async=*/1);
    copied_.reset(buffer);
    if (size == 0) return false;
    if (size < 0) {
      // -1: the server ended the copy and its reason follows; -2: the connection is gone.
      const PgResult reason(size == -1 && PQisBusy(conn_.get()) == 0 ? PQgetResult(conn_.get()) : nullptr);
      FailWith(reason.get());
      return false;
    }
    last_heard_ = now;
    const ReplicationMessage message = ParseReplicationMessage({buffer, static_cast<size_t>(size)});
    if (message.kind == ReplicationMessage::Kind::kMalformed) {
      Fail("malformed replication message");
      return false;
    }
    wal_position_ = std::max(wal_position_, message.wal_position);
    if (message.kind == ReplicationMessage::Kind::kData) {
      *update = message.data;
      return true;
    }
    reply_requested_ |= message.reply_requested;
  }
  return false;
}

void ReplicationStream::Acknowledge(TimePoint now) {
  if (state_ != State::kStreaming) return;
  // What was received need not be sent again: after a loss the journal is read, not the slot.
  const bool news = wal_position_ > acknowledged_ && now >= last_status_ + kStatusInterval;
  if (reply_requested_ || news) SendStatus(now, /*ask_reply=*/false);
}

void ReplicationStream::SendStatus(TimePoint now, bool ask_reply) {
  const std::string status = StandbyStatus(wal_position_, UnixMicros(), ask_reply);
  last_status_ = now;
  reply_requested_ = false;
  // 0: libpq's buffer is full because the server does not read; it will be told later.
  const int queued = PQputCopyData(conn_.get(), status.data(), static_cast<int>(status.size()));
  if (queued < 0) return FailWithServerError();
  if (queued > 0) acknowledged_ = wal_position_;
  Flush();
}

}  // namespace oasync::pg
