// Output plugin `oa_sync`: the journal's rows, and nothing else, as they commit.
//
// format 'binary' (the default): each message is one serialized openagents.sync.v1.Update, with the commit's time.
// format 'text': one line for each event, for pg_logical_slot_peek_changes and curious people.
// Streaming of transactions in progress is not offered: only what has committed is ever seen.
#include "pg.h"

extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/partition.h"
#include "nodes/parsenodes.h"
#include "replication/logical.h"
#include "replication/output_plugin.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
}

#include "journal.h"
#include "journal_update.h"

namespace oasync {
namespace {

constexpr int64 kUnixEpochOffsetUs = (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
constexpr int kProtocolVersion = 1;
constexpr int kProgressEvery = 100;  // skipped changes between two signs of life to the receiver

// Whether a relation is a partition of the journal, as far as decoding has seen it.
struct KnownRelation {
  Oid relid;
  bool is_journal;
};

struct PluginState {
  MemoryContext context;  // for one change
  bool binary;
  int skipped;
};

// Invalidation callbacks can't be taken back, so what they touch outlives any one decoding session.
HTAB* relations = nullptr;

void OnInvalidation(Datum, Oid relid) {
  if (relations == nullptr) return;
  if (relid != InvalidOid) {
    hash_search(relations, &relid, HASH_REMOVE, nullptr);
    return;
  }
  HASH_SEQ_STATUS all;
  hash_seq_init(&all, relations);
  while (auto* known = static_cast<KnownRelation*>(hash_seq_search(&all))) {
    hash_search(relations, &known->relid, HASH_REMOVE, nullptr);
  }
}

void WatchRelations() {
  if (relations != nullptr) return;
  HASHCTL control = {};
  control.keysize = sizeof(Oid);
  control.entrysize = sizeof(KnownRelation);
  control.hcxt = TopMemoryContext;
  relations = hash_create("oa_sync decoded relations", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
  CacheRegisterRelcacheCallback(OnInvalidation, PointerGetDatum(nullptr));
}

// REQUIRES the catalogs as of the change, which decoding provides.
bool IsJournalPartition(Relation rel) {
  const Oid relid = RelationGetRelid(rel);
  bool found = false;
  if (const auto* known = static_cast<KnownRelation*>(hash_search(relations, &relid, HASH_FIND, &found)); found) {
    return known->is_journal;
  }
  bool is_journal = false;
  if (rel->rd_rel->relispartition) {
    const Journal* journal = FindJournal();
    is_journal = journal != nullptr && get_partition_parent(relid, true) == journal->journal;
  }
  static_cast<KnownRelation*>(hash_search(relations, &relid, HASH_ENTER, &found))->is_journal = is_journal;
  return is_journal;
}

[[noreturn]] void RaiseBadOption(const DefElem* option, const char* what) {
  ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                  errmsg("invalid option \"%s\" of output plugin oa_sync", option->defname), errdetail("%s", what),
                  errhint("Options: \"format\" ('binary' or 'text'), \"protocol_version\" ('%d').", kProtocolVersion)));
}

void ReadOptions(PluginState* state, List* options) {
  state->binary = true;
  ListCell* cell;
  foreach (cell, options) {
    const DefElem* option = static_cast<DefElem*>(lfirst(cell));
    const char* value = option->arg != nullptr ? strVal(option->arg) : nullptr;
    if (strcmp(option->defname, "format") == 0) {
      if (value == nullptr || (strcmp(value, "binary") != 0 && strcmp(value, "text") != 0)) {
        RaiseBadOption(option, "The format is 'binary' or 'text'.");
      }
      state->binary = strcmp(value, "binary") == 0;
    } else if (strcmp(option->defname, "protocol_version") == 0) {
      if (value == nullptr || pg_strtoint32(value) != kProtocolVersion) {
        RaiseBadOption(option, "This server speaks another version of the protocol.");
      }
    } else {
      RaiseBadOption(option, "There is no such option.");
    }
  }
}

void Startup(LogicalDecodingContext* ctx, OutputPluginOptions* options, bool) {
  auto* state = static_cast<PluginState*>(palloc0(sizeof(PluginState)));
  state->context = AllocSetContextCreate(ctx->context, "oa_sync output", ALLOCSET_DEFAULT_SIZES);
  ReadOptions(state, ctx->output_plugin_options);
  ctx->output_plugin_private = state;
  options->output_type = state->binary ? OUTPUT_PLUGIN_BINARY_OUTPUT : OUTPUT_PLUGIN_TEXTUAL_OUTPUT;
  WatchRelations();
}

void Begin(LogicalDecodingContext*, ReorderBufferTXN*) {}
void Commit(LogicalDecodingContext*, ReorderBufferTXN*, XLogRecPtr) {}

// PostgreSQL 16 does this by itself.
void Skip(LogicalDecodingContext* ctx, PluginState* state) {
#if PG_VERSION_NUM < 160000
  if (++state->skipped < kProgressEvery) return;
  state->skipped = 0;
  OutputPluginUpdateProgress(ctx, true);
#else
  (void)ctx;
  (void)state;
#endif
}

HeapTuple NewTuple(const ReorderBufferChange* change) {
#if PG_VERSION_NUM >= 170000
  return change->data.tp.newtuple;
#else
  return change->data.tp.newtuple == nullptr ? nullptr : &change->data.tp.newtuple->tuple;
#endif
}

void WriteText(StringInfo out, const JournalValues& row) {
  const auto text_of = [&row](int column) { return TextDatumGetCString(row.Value(column)); };
  appendStringInfo(out, "%s %lld %s %s version=%lld epoch=%lld ", text_of(kColTopic),
                   static_cast<long long>(DatumGetInt64(row.Value(kColWatermark))), text_of(kColOp),
                   quote_literal_cstr(text_of(kColDocKey)),
                   static_cast<long long>(DatumGetInt64(row.Value(kColDocVersion))),
                   static_cast<long long>(DatumGetInt64(row.Value(kColEpoch))));
  if (!row.IsNull(kColTraceparent)) appendStringInfo(out, "traceparent=%s ", text_of(kColTraceparent));
  appendStringInfoString(out, row.IsNull(kColPayload) ? "null" : text_of(kColPayload));
}

void Change(LogicalDecodingContext* ctx, ReorderBufferTXN* txn, Relation rel, ReorderBufferChange* change) {
  auto* state = static_cast<PluginState*>(ctx->output_plugin_private);
  const HeapTuple tuple = change->action == REORDER_BUFFER_CHANGE_INSERT ? NewTuple(change) : nullptr;
  if (tuple == nullptr || !IsJournalPartition(rel)) {
    Skip(ctx, state);
    return;
  }
  state->skipped = 0;
  const ContextSwitch in(state->context);
  CheckJournalColumns(RelationGetRelid(rel), RelationGetDescr(rel));
  JournalValues row = {};
  row.isnull[kColTraceparent - 1] = true;  // a change from before the column
  heap_deform_tuple(tuple, RelationGetDescr(rel), row.values, row.isnull);
  OutputPluginPrepareWrite(ctx, true);
  if (state->binary) {
    Bytes update;
    AppendJournalUpdate(update, row, txn->xact_time.commit_time + kUnixEpochOffsetUs);
    appendBinaryStringInfo(ctx->out, update.data, static_cast<int>(update.len));
  } else {
    WriteText(ctx->out, row);
  }
  OutputPluginWrite(ctx, true);
  in.Back();
  MemoryContextReset(state->context);
}

void Truncate(LogicalDecodingContext* ctx, ReorderBufferTXN*, int, Relation*, ReorderBufferChange*) {
  Skip(ctx, static_cast<PluginState*>(ctx->output_plugin_private));
}

}  // namespace
extern "C" {

PGDLLEXPORT void _PG_output_plugin_init(OutputPluginCallbacks* callbacks);

void _PG_output_plugin_init(OutputPluginCallbacks* callbacks) {
  callbacks->startup_cb = Startup;
  callbacks->begin_cb = Begin;
  callbacks->change_cb = Change;
  callbacks->truncate_cb = Truncate;
  callbacks->commit_cb = Commit;
}
}

}  // namespace oasync
