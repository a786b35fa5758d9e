#include "table_documents.h"

extern "C" {
#include "access/htup_details.h"
#include "access/table.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
}

#include <algorithm>

#include "capture.h"
#include "event_log.h"
#include "owner_context.h"
#include "table_query.h"
#include "table_sources.h"

namespace oasync {
namespace {

constexpr int64 kFetchRows = 32;
constexpr int64 kLeastRowsAsked = 100;

// A document that waits for the page's end, because its table can't be read in an order.
struct WaitingDocument {
  Document document;
  MemoryContext context;
};

struct Reading {
  const TableSource* source;
  DocumentPage* page;
  Relation rel;
  TablePublication* pub;
  TableQuery query;
  TupleTableSlot* slot;
  MemoryContext row_context;
  bool full;
  // Of tables without an order: the documents with the smallest keys after the position, sorted.
  WaitingDocument** waiting;
  int64 waiting_count;
  int64 waiting_bytes;
  const char* cutoff;  // keys from here on are for a later page
};
OA_SYNC_POD(Reading);

// True when the row is a document that is asked for.
bool Identify(Reading* reading, RowIdentity* identity) {
  if (!IdentifyRow(identity, reading->pub, reading->slot)) return false;
  const DocumentPage* page = reading->page;
  if (identity->topic.view() != page->topic) return false;
  if (page->IsLookUp() && identity->doc_key.view() != page->only_key) return false;
  if (identity->doc_version == kVersionIsWatermark) identity->doc_version = page->head;
  return true;
}

void KeepPosition(Reading* reading) {
  const RowOrder& order = reading->query.order;
  const char* values[kMaxPositionValues];
  for (int i = 0; i < order.count; ++i) {
    const FormData_pg_attribute* attr = TupleDescAttr(RelationGetDescr(reading->rel), order.columns[i] - 1);
    Oid function = InvalidOid;
    bool varlena = false;
    getTypeOutputInfo(getBaseType(attr->atttypid), &function, &varlena);
    bool isnull = true;
    values[i] = OidOutputFunctionCall(function, slot_getattr(reading->slot, order.columns[i], &isnull));
  }
  SetPosition(reading->page, false, order.count, values);
}

void PutInOrder(Reading* reading, const Document& document) {
  if (!PutDocument(reading->page, document) || reading->page->IsLookUp()) reading->full = true;
}

void DropWaiting(Reading* reading, int64 at) {
  WaitingDocument* gone = reading->waiting[at];
  reading->waiting_bytes -= DocumentBytes(gone->document);
  --reading->waiting_count;
  std::copy(reading->waiting + at + 1, reading->waiting + reading->waiting_count + 1, reading->waiting + at);
  MemoryContextDelete(gone->context);
}

WaitingDocument* CopyDocument(const Document& document, MemoryContext parent) {
  MemoryContext context = AllocSetContextCreate(parent, "oa_sync document", ALLOCSET_SMALL_SIZES);
  const ContextSwitch in(context);
  auto* copy = static_cast<WaitingDocument*>(palloc0(sizeof(WaitingDocument)));
  copy->context = context;
  copy->document.doc_version = document.doc_version;
  copy->document.doc_key = {pnstrdup(document.doc_key.data(), document.doc_key.size()), document.doc_key.size()};
  Bytes payload;
  payload.Append(document.payload);
  copy->document.payload = payload.view();
  in.Back();
  return copy;
}

bool WaitsForLater(const Reading* reading, std::string_view key) {
  if (reading->cutoff != nullptr && key >= std::string_view(reading->cutoff)) return true;
  return reading->page->position_count > 0 && key <= std::string_view(reading->page->position[0]);
}

void Wait(Reading* reading, const Document& document) {
  int64 at =
      std::lower_bound(reading->waiting, reading->waiting + reading->waiting_count, document.doc_key,
                       [](const WaitingDocument* a, std::string_view key) { return a->document.doc_key < key; }) -
      reading->waiting;
  if (at < reading->waiting_count && reading->waiting[at]->document.doc_key == document.doc_key) {
    // Two rows are one document: its key is not unique. The newer state is kept.
    if (reading->waiting[at]->document.doc_version >= document.doc_version) return;
    DropWaiting(reading, at);
  }
  std::copy_backward(reading->waiting + at, reading->waiting + reading->waiting_count,
                     reading->waiting + reading->waiting_count + 1);
  reading->waiting[at] = CopyDocument(document, MemoryContextGetParent(reading->row_context));
  ++reading->waiting_count;
  reading->waiting_bytes += DocumentBytes(document);
  const DocumentPage* page = reading->page;
  while (reading->waiting_count > 1 && (page->count + reading->waiting_count > page->max_documents ||
                                        page->bytes + reading->waiting_bytes > page->max_bytes)) {
    const std::string_view key = reading->waiting[reading->waiting_count - 1]->document.doc_key;
    if (reading->cutoff != nullptr) pfree(const_cast<char*>(reading->cutoff));
    reading->cutoff = MemoryContextStrdup(MemoryContextGetParent(reading->row_context), key.data());
    DropWaiting(reading, reading->waiting_count - 1);
  }
}

void TakeRow(Reading* reading, HeapTuple row, TupleDesc desc) {
  bool isnull = true;
  const HeapTupleHeader header = DatumGetHeapTupleHeader(SPI_getbinval(row, desc, 1, &isnull));
  HeapTupleData tuple = {};
  tuple.t_len = HeapTupleHeaderGetDatumLength(header);
  tuple.t_data = header;
  tuple.t_tableOid = reading->source->relid;
  ExecStoreHeapTuple(&tuple, reading->slot, false);
  RowIdentity identity = {};
  if (!Identify(reading, &identity)) return;
  const bool in_order = reading->query.order.exists || reading->page->IsLookUp();
  if (!in_order && WaitsForLater(reading, identity.doc_key.view())) return;
  Bytes payload;
  AppendRowPayload(payload, reading->pub, reading->slot);
  const Document document = {identity.doc_key.view(), identity.doc_version, payload.view()};
  if (in_order) {
    PutInOrder(reading, document);
  } else {
    Wait(reading, document);
  }
}

// Runs the query; returns how many rows it gave.
int64 RunQuery(Reading* reading) {
  const TableQuery& query = reading->query;
  Portal portal =
      SPI_cursor_open_with_args(nullptr, query.sql.data, query.parameter_count, const_cast<Oid*>(query.types),
                                const_cast<Datum*>(query.values), nullptr, true, CURSOR_OPT_NO_SCROLL);
  int64 rows = 0;
  while (!reading->full) {
    SPI_cursor_fetch(portal, true, kFetchRows);
    SPITupleTable* table = SPI_tuptable;
    const uint64 fetched = SPI_processed;
    for (uint64 i = 0; i < fetched && !reading->full; ++i) {
      CHECK_FOR_INTERRUPTS();
      const ContextSwitch in(reading->row_context);
      TakeRow(reading, table->vals[i], table->tupdesc);
      // Also behind rows that the conditions found and that are not of the topic.
      if (!reading->full && reading->query.order.exists) KeepPosition(reading);
      ExecClearTuple(reading->slot);
      in.Back();
      MemoryContextReset(reading->row_context);
    }
    SPI_freetuptable(table);
    rows += static_cast<int64>(fetched);
    if (fetched < static_cast<uint64>(kFetchRows)) break;
  }
  SPI_cursor_close(portal);
  return rows;
}

void ReadInOrder(Reading* reading) {
  DocumentPage* page = reading->page;
  const size_t where_end = static_cast<size_t>(reading->query.sql.len);
  const int parameters = reading->query.parameter_count;
  while (!reading->full) {
    const int64 limit = Max(page->max_documents - page->count + 1, kLeastRowsAsked);
    reading->query.sql.len = static_cast<int>(where_end);
    reading->query.sql.data[where_end] = '\0';
    reading->query.parameter_count = parameters;
    AppendPageBounds(&reading->query, reading->rel, *page, limit);
    const int64 rows = RunQuery(reading);
    if (rows < limit || reading->query.order.count == 0) break;
  }
}

void ReadWaiting(Reading* reading) {
  DocumentPage* page = reading->page;
  if (page->position_count > 0 && !page->by_key) RaiseBadToken("the table has no key any more");
  RunQuery(reading);
  for (int64 i = 0; i < reading->waiting_count && !reading->full; ++i) {
    const Document& document = reading->waiting[i]->document;
    if (!PutDocument(page, document)) {
      reading->full = true;
      break;
    }
    const char* key = document.doc_key.data();
    SetPosition(page, true, 1, &key);
  }
  reading->full |= reading->cutoff != nullptr;
}

void Read(Reading* reading) {
  DocumentPage* page = reading->page;
  MemoryContext outside = CurrentMemoryContext;
  reading->row_context = AllocSetContextCreate(outside, "oa_sync row", ALLOCSET_DEFAULT_SIZES);
  reading->slot = MakeSingleTupleTableSlot(RelationGetDescr(reading->rel), &TTSOpsHeapTuple);
  const bool in_order = reading->query.order.exists || page->IsLookUp();
  if (!in_order) {
    reading->waiting = static_cast<WaitingDocument**>(
        MemoryContextAllocHuge(outside, sizeof(void*) * static_cast<Size>(page->max_documents + 3)));
  }
  SPI_connect();
  if (!in_order) {
    ReadWaiting(reading);
  } else if (page->IsLookUp()) {
    RunQuery(reading);
  } else {
    ReadInOrder(reading);
  }
  SPI_finish();
  ExecDropSingleTupleTableSlot(reading->slot);
  MemoryContextDelete(reading->row_context);
}

}  // namespace

bool ReadTableDocuments(const TableSource& source, DocumentPage* page) {
  Relation rel = try_table_open(source.relid, AccessShareLock);
  if (rel == nullptr) return true;  // dropped; its publication is left behind
  CheckSourceUnchanged(source);
  CheckFilesUnchanged(rel);
  const OwnerContext saved = BecomeOwner(rel->rd_rel->relowner);
  MemoryContext context =
      AllocSetContextCreate(CurrentMemoryContext, "oa_sync table documents", ALLOCSET_DEFAULT_SIZES);
  const ContextSwitch in(context);
  auto* reading = static_cast<Reading*>(palloc0(sizeof(Reading)));
  reading->source = &source;
  reading->page = page;
  reading->rel = rel;
  reading->pub = FindPublication(rel, source.id);
  ++reading->pub->uses;
  BuildTableQuery(&reading->query, rel, reading->pub, *page);
  if (!reading->query.impossible) Read(reading);
  --reading->pub->uses;
  in.Back();
  const bool finished = !reading->full;
  MemoryContextDelete(context);
  BecomeCallerAgain(saved);
  table_close(rel, NoLock);
  return finished;
}

}  // namespace oasync
