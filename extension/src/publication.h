// Publication: how rows of a table become events, compiled from its row in sync_publications.
//
// Compiled for each relation that fires the trigger (a partition has its own column numbers), cached in the backend
// until the relation cache says that the table changed.
#pragma once

#include "journal.h"

extern "C" {
#include "access/tupconvert.h"
#include "utils/relcache.h"
}

#include "text_template.h"
#include "value_json.h"

namespace oasync {

// A column as a publication uses it.
struct PublishedColumn {
  int number;            // 1-based, in the relation
  std::string_view key;  // its canonical JSON key with quotes and colon
  ValueWriter writer;
};

struct CompiledTemplate {
  int count;
  struct Part {
    std::string_view literal;  // when column is null
    const char* column_name;
    int number;
    ValueWriter writer;
  } parts[kMaxTemplateParts];
};

// The columns of sync_publications.
enum PublicationColumn {
  kPubId = 1,
  kPubRelation,
  kPubTopic,
  kPubDocKey,
  kPubDocVersion,
  kPubPayload,
  kPubSkipUnchanged,
};

// What a projection does with the document of a row that goes away.
enum class OnDelete : uint8_t { kIgnore, kDelete, kProject };

struct TablePublication {
  Oid relid;           // hash key: the relation
  int32 id;            // hash key: publication_id or projection_id
  bool is_projection;  // hash key: rows become documents of a read model, not events of a topic
  bool valid;
  bool is_column;     // the payload is the value of the one column
  bool has_function;  // the payload is a function of the row
  bool function_is_jsonb;
  bool skip_unchanged;
  bool depends_on_settings;
  bool of_extension;  // the table is one of ours: a read model
  int uses;           // captures that are using it now; left high by an ERROR, which only keeps memory a while
  Oid root;           // the published table, an ancestor of relid or itself
  MemoryContext context;
  CompiledTemplate topic;
  CompiledTemplate doc_key;
  int version_column;  // 0: the watermark
  Oid version_type;
  PublishedColumn* columns;  // of the payload, sorted by key
  int column_count;
  Oid read_model;      // of a projection
  Oid owner;           // of the published table
  OnDelete on_delete;  // of a projection
  FmgrInfo function;
  TupleDesc root_row;             // what the function takes, when relid is a partition; else null
  TupleConversionMap* to_root;    // null: the columns are the same
  std::string_view truncate_key;  // the literal prefix of the doc_key template
};

// How a publication or a projection is written down.
struct PublicationRow {
  Oid relation;
  const char* topic;  // null of a projection
  const char* doc_key;
  const char* doc_version;  // null: the watermark; of a projection: one more than before
  const char* payload;
  bool skip_unchanged;
  Oid read_model;  // the rest is of a projection only
  const char* on_delete;
};

// The publication `id` as it applies to a relation that is open. ERROR when it is not there or does not fit.
// Valid until the next call that can process invalidations, at least to the end of one capture.
TablePublication* FindPublication(Relation rel, int32 id);

// The same, compiled afresh even when nothing seems to have changed: what somebody looks into.
TablePublication* CompilePublication(Relation rel, int32 id);

// The same for a projection (sync_projections): how the rows of a table become documents of a read model.
TablePublication* FindProjection(Relation rel, int32 id);

// The id of the publication whose table is `relid`, 0 when there is none.
int32 PublicationOf(Oid relid);

// Fills `pub` from its row, for a relation that is open; memory is of pub->context, which is the current one.
// ERROR when the row does not fit the relation. (publication_compile.cpp)
void FillPublication(TablePublication* pub, Relation rel, const PublicationRow& row);

// Registers the invalidation callback. Called from _PG_init; children of the postmaster inherit it.
void WatchPublications();

}  // namespace oasync
