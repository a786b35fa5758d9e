// Documents of a topic, whatever they come from, and the place of the source in a page token.
#pragma once

#include "document_page.h"
#include "topic_cursor.h"

namespace oasync {

// Checks a topic argument. ERROR 22004, 22023.
std::string_view TopicArgument(Datum value, bool isnull);

// ERROR 25001 when this transaction has captured events: documents would show what is not committed.
void CheckNothingCaptured();

// Puts documents of page->topic as the active snapshot shows them, beginning where `token` says (its cursor is the one
// that the page's reader has). Returns false when there are more, and says in `token` where the next page begins.
bool ReadDocuments(DocumentPage* page, SnapshotToken* token);

// A page with its own memory for positions, in the current context.
DocumentPage NewPage(std::string_view topic, DocumentTaker take, void* taker);

// Appends `{"doc_key":…,"doc_version":…,"payload":…,"payload_hash":…}`, canonical JSON in UTF-8.
void AppendDocumentJson(Bytes& out, const Document& document);

// doc_key, doc_version, payload, payload_hash as SQL values, in the current context.
void DocumentDatums(const Document& document, Datum* values);

}  // namespace oasync
