#include "document_page.h"

namespace oasync {

int64 DocumentBytes(const Document& document) {
  return static_cast<int64>(document.doc_key.size() + document.payload.size()) + 100;
}

bool PutDocument(DocumentPage* page, const Document& document) {
  const int64 bytes = DocumentBytes(document);
  if (page->count > 0 && (page->count >= page->max_documents || page->bytes + bytes > page->max_bytes)) return false;
  page->take(document, page->taker);
  ++page->count;
  page->bytes += bytes;
  return true;
}

void SetPosition(DocumentPage* page, bool by_key, int count, const char* const* values) {
  page->position_turn ^= 1;
  MemoryContext context = page->position_contexts[page->position_turn];
  MemoryContextReset(context);
  page->by_key = by_key;
  page->position_count = count;
  for (int i = 0; i < count; ++i) page->position[i] = MemoryContextStrdup(context, values[i]);
}

void RaiseBadToken(const char* detail) {
  ereport(ERROR,
          (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid page token"),
           errdetail("The token can not be used: %s.", detail), errhint("Begin the snapshot again, without a token.")));
}

}  // namespace oasync
