// Documents of the place that a policy names (snapshot_source).
//
// `schema.table`: a table or view with the columns doc_key, doc_version and payload (json or jsonb); when it has a
// column topic, its rows of that topic. `schema.function(topic)`: a function of the topic that returns such rows.
// `journal`: the topic's own events, see journal_documents.h.
#pragma once

#include "document_page.h"

namespace oasync {

bool NamesJournal(const char* source);

// Puts the documents that follow page->position, in the order of their keys. True when that were all.
// ERROR 42P01, 42883, 42703 when what is named is not there or has no such columns. REQUIRES an active snapshot.
bool ReadNamedDocuments(const char* source, DocumentPage* page);

}  // namespace oasync
