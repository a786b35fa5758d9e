// DocumentEndpoints: snapshots, documents and heads over HTTP, for the same tokens and scopes as the socket.
//
//   GET /api/sync/topics/{topic}/snapshot, /api/sync/snapshot?topic=             page_token, limit
//   GET /api/sync/topics/{topic}/documents/{doc_key}, /api/sync/documents?topic=&doc_key=
//                                                                                min_watermark, payload_hash
//   GET /api/sync/heads?topic=…&topic=…
// docs/operations/http.md has requests, answers and errors.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "auth/revocation_list.h"
#include "auth/token.h"
#include "base/clock.h"
#include "base/counters.h"
#include "base/worker_thread.h"
#include "database.h"
#include "net/http_router.h"
#include "source.h"

namespace oasync {

struct DocumentLimits {
  uint32_t max_documents = 1000;  // of one page; a client's `limit` can only lower it
  uint64_t max_bytes = 4194304;   // of one page, about
  uint32_t max_topics = 256;      // of one question for heads
  uint32_t max_answers = 64;      // asked of the database or on their way to a client
  size_t gzip_min_bytes = 1024;
};

// Each must outlive the endpoints and every question under way.
struct DocumentEnvironment {
  Database& database;
  Source& source;
  const TokenVerifier& verifier;
  const Clock& clock;
  SharedCounters& counters;
  WorkerThread& worker;  // hashes and compresses
  // Nobody is answered before it is known; null: it is not waited for.
  const RevocationList* required_revocations = nullptr;
};

// An answer's HTTP form of a failed question. `has_page_token`: 55000 is then the token's fault.
HttpAnswer DatabaseFailure(const DatabaseError& error, bool has_page_token);

// The watermark at the end of what sync_snapshot_json and sync_document_json return; 0 when there is none.
uint64_t WatermarkOf(std::string_view body);

class DocumentEndpoints {
 public:
  DocumentEndpoints(DocumentEnvironment environment, DocumentLimits limits)
      : environment_(environment), limits_(limits) {}

  void AddTo(HttpRouter* router) const;

 private:
  void Snapshot(const HttpRequest& request, const std::string& topic, HttpReply reply) const;
  void Document(const HttpRequest& request, const std::string& topic, const std::string& doc_key,
                HttpReply reply) const;
  void Heads(const HttpRequest& request, HttpReply reply) const;
  // Whether the request's token opens the topics; replies otherwise.
  bool MayRead(const HttpRequest& request, const std::vector<std::string>& topics, const HttpReply& reply) const;
  // A reply that holds a place among the answers under way until its connection is done with it; none when all are
  // taken (and 503 is replied).
  HttpReply TakePlace(HttpReply reply) const;
  HttpReply Finishing(const HttpRequest& request, HttpReply reply) const;

  DocumentEnvironment environment_;
  DocumentLimits limits_;
  std::shared_ptr<std::atomic<uint32_t>> under_way_ = std::make_shared<std::atomic<uint32_t>>(0);
};

}  // namespace oasync
