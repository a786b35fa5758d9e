// Document guard: an older state of a document never overwrites a newer one, whichever way it is written.
//
// A read model has the columns doc_key, doc_version, payload (json or jsonb), payload_hash, inserted_at and updated_at.
// The guard is its last BEFORE row trigger: it computes the hash, and leaves a write out that is stale or unchanged.
#pragma once

#include "pg.h"

namespace oasync {

// What a write came to.
enum class Outcome : uint8_t { kNone, kInserted, kUpdated, kDrift, kUnchanged, kStale };

const char* OutcomeName(Outcome outcome);

constexpr char kGuardTrigger[] = "~oa_sync_guard";

// The guard tells what became of the one document that is being watched. Watching is by value, so that an ERROR
// leaves nothing behind that could be wrong.
struct DocumentWatch {
  Oid relid;
  uint64 key_hash;
  Outcome outcome;
};
// Begins to watch; returns what was watched before, for EndWatch.
DocumentWatch BeginWatch(Oid relid, std::string_view doc_key);
Outcome EndWatch(const DocumentWatch& before);

// Counts an outcome that somebody other than the guard came to.
void CountOutcome(Outcome outcome);

// Where a read model has its columns, 1-based. ERROR 42809 when the relation does not have them all.
struct DocumentColumns {
  int doc_key;
  int doc_version;
  int payload;
  int payload_hash;
  int updated_at;
  bool payload_is_jsonb;
};
DocumentColumns FindDocumentColumns(Oid relid);

}  // namespace oasync
