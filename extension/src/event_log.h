// Event log: what this transaction captured and has not yet appended, in the order it happened.
//
// Kept in backend memory up to work_mem, then in a temporary file. Subtransactions nest strictly, so rolling one
// back is cutting the log where it began. All events of a log belong to one top-level transaction.
#pragma once

#include "pg.h"
#include "update_wire.h"

namespace oasync {

// The event's doc_version is to be its watermark.
constexpr int64 kVersionIsWatermark = -1;

// The trace that an event belongs to. A transaction rarely has more than one: it lies in the log where it changes, so
// that a million events take no more room for it than one.
enum class LoggedTrace : uint8_t {
  kNone,
  kSame,  // that of the last event before it with kOwn
  kOwn,   // it follows the payload's hash
};

// One event as it lies in the log: this header, then the varlenas, each MAXALIGNed.
struct LoggedEvent {
  uint32 size;   // of everything
  uint32 topic;  // index in the log's topics
  int64 doc_version;
  uint32 doc_key;  // offsets of varlenas from the start of the header
  uint32 payload;  // 0: none
  uint32 payload_hash;
  Op op;
  LoggedTrace trace;

  Datum At(uint32 offset) const { return PointerGetDatum(reinterpret_cast<const char*>(this) + offset); }
  // REQUIRES trace to be kOwn.
  Datum Traceparent() const { return At(payload_hash + static_cast<uint32>(MAXALIGN(VARHDRSZ + 32))); }
};

struct LoggedTopic {
  std::string_view name;
  Datum name_text;  // the same as a text value
  uint64 count;     // events in the log, valid after CountTopics
  uint64 next;      // for the append: the next watermark
  int hold_index;   // for the allocation
};

// Adds an event, with the traceparent that is in force. `payload` is null for none. Everything is in the server's
// encoding. May raise an ERROR.
struct EventParts {
  std::string_view topic;
  std::string_view doc_key;
  int64 doc_version;
  Op op;
  const std::string_view* payload;
  const uint8* payload_hash;  // 32 bytes
};
void LogEvent(const EventParts& parts);

// True when nothing is logged in this transaction.
bool LogIsEmpty();
// True when an event of it may belong to a trace.
bool LogHasTraces();

// The topics of the log, with their counts.
LoggedTopic* CountTopics(int* topic_count);

// Reads the log from its start. NextEvent gives null at the end; an event is valid until the next call once the log
// has spilled, else until the log is dropped (`*stays` says which).
void RewindLog();
const LoggedEvent* NextEvent(bool* stays);

// Bytes that went to the temporary file.
uint64 SpilledBytes();
uint64 LoggedBytes();
// Events in the log.
uint64 LoggedEvents();

// Savepoints. BeginSubLog notes where a subtransaction begins; AbortSubLog cuts the log back to there. Neither
// raises an ERROR once the log exists.
void BeginSubLog(SubTransactionId sub);
void CommitSubLog(SubTransactionId sub);
void AbortSubLog(SubTransactionId sub);

// Forgets everything; at the end of the transaction, `closing` true when it still can close its file.
void DropLog(bool closing);

}  // namespace oasync
