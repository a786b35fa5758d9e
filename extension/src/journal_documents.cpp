#include "journal_documents.h"

extern "C" {
#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
}

#include <algorithm>

#include "journal_scan.h"
#include "payload_hash.h"
#include "update_wire.h"
#include "value_json.h"

namespace oasync {
namespace {

constexpr uint32 kMaxFolded = 1000000;

struct Folded {
  std::string_view key;
  int64 doc_version;
  int64 payload_at;  // the watermark of the event that has the payload; 0: none has it
  uint8 payload_hash[kHashBytes];
  bool lives;
};

// Documents by key: open addressing, a power of two in size, never more than half full.
struct Fold {
  Folded** slots;
  uint32 size;
  uint32 count;
};

std::string_view View(Datum value) {
  const struct varlena* v = PG_DETOAST_DATUM_PACKED(value);
  return {VARDATA_ANY(v), VARSIZE_ANY_EXHDR(v)};
}

uint32 SlotOf(const Fold& fold, std::string_view key) {
  uint32 at = hash_bytes(reinterpret_cast<const unsigned char*>(key.data()), static_cast<int>(key.size()));
  for (at &= fold.size - 1; fold.slots[at] != nullptr && fold.slots[at]->key != key;) at = (at + 1) & (fold.size - 1);
  return at;
}

void MakeSlots(Fold* fold, uint32 size) {
  fold->size = size;
  fold->slots = static_cast<Folded**>(
      MemoryContextAllocExtended(CurrentMemoryContext, sizeof(void*) * size, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO));
}

void DoubleSlots(Fold* fold) {
  const Fold old = *fold;
  MakeSlots(fold, old.size * 2);
  for (uint32 i = 0; i < old.size; ++i) {
    if (old.slots[i] != nullptr) fold->slots[SlotOf(*fold, old.slots[i]->key)] = old.slots[i];
  }
  pfree(old.slots);
}

Folded* FindOrAdd(Fold* fold, std::string_view key) {
  if (fold->count * 2 >= fold->size) DoubleSlots(fold);
  Folded*& slot = fold->slots[SlotOf(*fold, key)];
  if (slot != nullptr) return slot;
  if (++fold->count > kMaxFolded) {
    ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                    errmsg("the journal of the topic has more than %u documents", kMaxFolded),
                    errhint("Keep the documents in a table, and name it as the topic's snapshot_source.")));
  }
  slot = static_cast<Folded*>(palloc0(sizeof(Folded)));
  slot->key = {pnstrdup(key.data(), key.size()), key.size()};
  return slot;
}

[[noreturn]] void RaiseNoSource(std::string_view topic, const char* detail) {
  ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                  errmsg("topic \"%.*s\" has no snapshot source", static_cast<int>(topic.size()), topic.data()),
                  errdetail("No published table has it, and %s.", detail),
                  errhint("Name a table, view or function that has its documents: "
                          "sync_set_policy('%.*s', snapshot_source => 'schema.table').",
                          static_cast<int>(topic.size()), topic.data())));
}

bool Concerns(const DocumentPage& page, std::string_view key) {
  if (page.IsLookUp()) return key == page.only_key;
  return page.position_count == 0 || key > std::string_view(page.position[0]);
}

void ApplyTruncate(Fold* fold, std::string_view prefix) {
  for (uint32 i = 0; i < fold->size; ++i) {
    Folded* document = fold->slots[i];
    if (document != nullptr && document->key.size() >= prefix.size() &&
        Part(document->key, 0, prefix.size()) == prefix) {
      document->lives = false;
    }
  }
}

void ApplyUpsert(Folded* document, const JournalRow& row) {
  const std::string_view hash = View(row.values[kColPayloadHash - 1]);
  if (!row.isnull[kColPayload - 1]) {
    document->payload_at = row.watermark;
  } else if (document->payload_at != 0 &&
             hash != std::string_view(reinterpret_cast<char*>(document->payload_hash), kHashBytes)) {
    document->payload_at = 0;  // in pointer mode, and the state before had another content
  }
  memcpy(document->payload_hash, hash.data(), Min(hash.size(), kHashBytes));
  document->doc_version = DatumGetInt64(row.values[kColDocVersion - 1]);
  document->lives = true;
}

void Apply(Fold* fold, const DocumentPage& page, const JournalRow& row) {
  Op op = Op::kVoid;
  if (!ParseOp(View(row.values[kColOp - 1]), op)) elog(ERROR, "the journal holds an unknown op");
  const std::string_view key = View(row.values[kColDocKey - 1]);
  if (op == Op::kTruncate) {
    ApplyTruncate(fold, key);
  } else if (op == Op::kUpsert) {
    if (Concerns(page, key)) ApplyUpsert(FindOrAdd(fold, key), row);
  } else if (op == Op::kDelete) {
    Folded* known = fold->slots[SlotOf(*fold, key)];
    if (known != nullptr) known->lives = false;
  }
}

void ApplyAll(Fold* fold, int64 head, const DocumentPage& page) {
  JournalScan* scan = BeginJournalScan(page.topic, 0, GetActiveSnapshot());
  int64 expected = 1;
  JournalRow row;
  while (expected <= head && NextJournalRow(scan, &row)) {
    CHECK_FOR_INTERRUPTS();
    if (row.watermark != expected) break;
    Apply(fold, page, row);
    ++expected;
  }
  EndJournalScan(scan);
  if (expected <= head) RaiseNoSource(page.topic, "its journal is not complete");
}

// False when the page is full.
bool PutFolded(DocumentPage* page, const Folded& document) {
  if (document.payload_at == 0) {
    RaiseNoSource(page->topic, "its events were written in pointer mode, without their payloads");
  }
  JournalScan* scan = BeginJournalScan(page->topic, document.payload_at - 1, GetActiveSnapshot());
  JournalRow row;
  if (!NextJournalRow(scan, &row) || row.watermark != document.payload_at) {
    RaiseNoSource(page->topic, "its journal is not complete");
  }
  Bytes scratch;
  const std::string_view payload = JsonFromServerEncoding(scratch, View(row.values[kColPayload - 1]));
  const bool room = PutDocument(page, {document.key, document.doc_version, payload});
  EndJournalScan(scan);
  if (!room) return false;
  const char* key = document.key.data();
  SetPosition(page, true, 1, &key);
  return !page->IsLookUp();
}

}  // namespace

bool ReadJournalDocuments(int64 head, DocumentPage* page) {
  if (page->position_count > 0 && !page->by_key) RaiseBadToken("it is of another source");
  int64 next = 1;
  int64 floor = 0;
  ReadTopicSequence(page->topic, nullptr, &next, &floor);
  if (floor > 0) RaiseNoSource(page->topic, "its first events are no longer retained");
  Fold fold = {};
  MakeSlots(&fold, 1024);
  ApplyAll(&fold, head, *page);
  auto** living = static_cast<Folded**>(
      MemoryContextAllocHuge(CurrentMemoryContext, sizeof(void*) * static_cast<Size>(fold.count + 1)));
  uint32 count = 0;
  for (uint32 i = 0; i < fold.size; ++i) {
    if (fold.slots[i] != nullptr && fold.slots[i]->lives) living[count++] = fold.slots[i];
  }
  std::sort(living, living + count, [](const Folded* a, const Folded* b) { return a->key < b->key; });
  for (uint32 i = 0; i < count; ++i) {
    if (!PutFolded(page, *living[i])) return false;
  }
  return true;
}

}  // namespace oasync
