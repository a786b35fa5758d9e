// Documents of a topic out of its own journal: what is left when every event is applied, from the first one on.
//
// For topics that only sync_emit() writes. Possible while nothing was retired, and it costs a read of all the topic's
// events for each page: a snapshot source (policy) is better for a topic that is large.
#pragma once

#include "document_page.h"

namespace oasync {

// Puts the documents as they were at watermark `head`, in the order of their keys, from page->position on. True when
// that were all. ERROR 55000 when the journal no longer begins at watermark 1, or when a payload is not in it (pointer
// mode); 54000 when there are too many documents. REQUIRES an active snapshot that shows everything up to `head`.
bool ReadJournalDocuments(int64 head, DocumentPage* page);

}  // namespace oasync
