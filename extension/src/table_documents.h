// Documents of published tables, with the same bytes that capture gives them.
#pragma once

#include "document_page.h"

namespace oasync {

// A publication that can have documents of a topic, as the active snapshot shows it.
struct TableSource {
  int32 id;
  Oid relid;
  TimestampTz published_at;
};

// The publications whose topic template can make the topic, in the order of their ids. Palloc'd.
int ListTableSources(std::string_view topic, TableSource** sources);

// Puts the source's documents from page->position on. True when that were all; false when the page is full, or, of a
// look-up, when the document was found. REQUIRES an active snapshot.
// ERROR 40001 when the table's rows, or its publication, are no longer those of the snapshot.
bool ReadTableDocuments(const TableSource& source, DocumentPage* page);

}  // namespace oasync
