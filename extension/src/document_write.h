// Writing documents into read models by key: what sync_upsert_document() and projections share.
//
// All of it runs with the rights of the current user, with plans that are kept in the backend. REQUIRES SPI to be
// connected.
#pragma once

#include "document_guard.h"

namespace oasync {

// What is known of a document that was locked.
struct LockedDocument {
  bool exists;
  bool busy;  // not locked: another transaction has it, and waiting was not wanted
  int64 doc_version;
  uint8 hash[32];
};

// Locks a document until the transaction ends, also one that does not exist yet. With `wait` false it does not wait.
// An existing document is locked by its row, one that is not there by an advisory lock that only the extension can
// name: (database, read model, hash of the key modulo 1024, kDocumentLockClass).
LockedDocument LockDocument(Oid read_model, std::string_view doc_key, bool wait);
constexpr uint16 kDocumentLockClass = 20289;

// Writes a document; `payload` is JSON text in the server's encoding. ERROR 42809 when it is not a read model.
// `fresh`: the document was locked, and is seen as it is now also by a REPEATABLE READ transaction.
Outcome UpsertDocument(Oid read_model, std::string_view doc_key, int64 doc_version, std::string_view payload,
                       bool fresh);

// Deletes a document.
void DeleteDocument(Oid read_model, std::string_view doc_key);

}  // namespace oasync
