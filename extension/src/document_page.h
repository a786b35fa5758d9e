// A page of documents in the making: limits, the place where it ended, and who takes the documents.
#pragma once

#include "pg.h"

#include "bytes.h"
#include "snapshot_token.h"

namespace oasync {

// Valid during the call that gives it.
struct Document {
  std::string_view doc_key;  // server's encoding
  int64 doc_version;
  std::string_view payload;  // canonical JSON, UTF-8
};

using DocumentTaker = void (*)(const Document& document, void* context);

struct DocumentPage {
  std::string_view topic;
  std::string_view only_key;  // just the document of this key; null data: all of them
  int64 head;                 // doc_version of documents whose version is the watermark
  int64 max_documents;
  int64 max_bytes;
  int64 count;
  int64 bytes;
  DocumentTaker take;
  void* taker;
  // Where the reading of the present source goes on, and where it ended.
  bool by_key;
  int position_count;
  const char* position[kMaxPositionValues];
  MemoryContext position_contexts[2];  // in turns: the new position may be made of the old one
  int position_turn;

  bool IsLookUp() const { return only_key.data() != nullptr; }
};
OA_SYNC_POD(DocumentPage);

// What a document adds to the size of a page.
int64 DocumentBytes(const Document& document);

// Gives a document to the page; false, and nothing is given, when the page is full. The first one always fits.
bool PutDocument(DocumentPage* page, const Document& document);

// Says where the source goes on after the document that was put last. The values are copied.
void SetPosition(DocumentPage* page, bool by_key, int count, const char* const* values);

[[noreturn]] void RaiseBadToken(const char* detail);

}  // namespace oasync
