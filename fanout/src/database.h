// Database: what the server asks of PostgreSQL besides the streams. PostgreSQL stands behind it, as behind Source.
//
// Every method may be called from any thread and returns at once. Callbacks run on a thread of the implementation; they
// must be quick and must not throw.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace oasync {

// What a question came to. `error` is one line for the log, empty on success; `sqlstate` is the server's code for it,
// empty when the server was not reached or gave no answer.
struct DatabaseError {
  std::string sqlstate;
  std::string error;
  bool ok() const { return error.empty(); }
};

// A page of a topic's documents, or one document, as the JSON text that sync_snapshot_json and sync_document_json
// return: canonical UTF-8, to be served as it is.
struct DocumentAnswer : DatabaseError {
  std::string body;
};
using DocumentCallback = std::function<void(DocumentAnswer)>;

struct SnapshotQuestion {
  std::string topic;
  uint32_t max_documents = 1000;
  uint64_t max_bytes = 4194304;
  std::string page_token;  // empty for the first page
};

// Something that ends the sessions of whoever shows it, and refuses them afterwards.
struct Revocation {
  enum class Kind : uint8_t { kSession, kDevice, kToken };  // oa_session_id, oa_device_id, jti
  Kind kind = Kind::kToken;
  std::string value;
  std::string reason;        // as in sync:error reauth_required
  int64_t expires_at_s = 0;  // Unix seconds; nothing that it names is valid after that. 0: never
};
struct RevocationAnswer : DatabaseError {
  std::vector<Revocation> revocations;
};
using RevocationsCallback = std::function<void(RevocationAnswer)>;
using DoneCallback = std::function<void(DatabaseError)>;

class Database {
 public:
  virtual ~Database() = default;
  // 40001 is asked again by the implementation a few times before it is answered.
  virtual void ReadSnapshot(SnapshotQuestion question, DocumentCallback done) = 0;
  virtual void ReadDocument(std::string topic, std::string doc_key, DocumentCallback done) = 0;
  // Everything that is revoked and not expired.
  virtual void ReadRevocations(RevocationsCallback done) = 0;
  // Durable and on its way to every server when it is answered without an error.
  virtual void Revoke(std::vector<Revocation> revocations, DoneCallback done) = 0;
  // Sends an event through the whole way of the data, on kCanaryTopic; the database may leave it out when somebody
  // else's was a moment ago.
  virtual void EmitCanary(DoneCallback done) = 0;
};

// What operators ask, by way of the admin listener. The answers are JSON texts. An extension before 0.4.0, or a role
// without its functions, answers with 42883 or 42501.
class OperatorDatabase {
 public:
  virtual ~OperatorDatabase() = default;
  // sync_overview(); of an extension that does not have it, the server's and the extension's version, in_recovery and
  // clock only.
  virtual void ReadOverview(DocumentCallback done) = 0;
};

}  // namespace oasync
