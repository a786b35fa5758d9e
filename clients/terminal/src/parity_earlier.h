// EarlierLane: where the documents of the lane before OA Sync are read, whatever it is.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "http_client.h"
#include "parity_compare.h"
#include "parity_lane.h"
#include "sql_database.h"

namespace oasync::terminal {

struct EarlierAnswer {
  bool answered = false;  // false: nobody, or nonsense; `error` says which
  DocumentState state;
  std::string error;
};

class EarlierLane {
 public:
  virtual ~EarlierLane() = default;
  // Keys that the earlier lane itself knows of, so that what only it has is found too; at most so many. None when it
  // cannot tell; *error is set only when it should have been able to.
  virtual std::vector<std::string> Sample(const std::string& topic, int64_t seed, int64_t wanted,
                                          std::string* error) = 0;
  // An answer for each key; `again`: of documents that differed before. Empty, and *error, when the lane as a whole
  // cannot be read: it is not asked on.
  virtual std::map<std::string, EarlierAnswer> Read(const std::string& topic, const std::vector<std::string>& keys,
                                                    bool again, std::string* error) = 0;
  // The hash that it had of the document at a version; empty when it cannot tell.
  virtual std::string HashAt(const std::string& topic, const std::string& key, int64_t version) = 0;
};

struct EarlierHttpOptions {
  std::string token_file;  // of a bearer token; empty: none
  TlsOptions tls;
  int timeout_ms = 5000;                      // of one request
  size_t max_answer_bytes = size_t{4} << 20;  // of one answer
  int64_t budget_ms = 60000;                  // of the requests of one audit: see AskBudget
};

// What one audit may ask of an HTTP lane: for how long altogether, and how often in a row without an answer. The time
// between requests is free, and looks at what differed have as much as all first looks: a slow lane, or a long
// lag_limit, must not make of differences documents that nobody answered for.
class AskBudget {
 public:
  explicit AskBudget(int64_t each_ms) : left_ms_{each_ms, each_ms} {}

  // Why no request may be sent any more; empty: one may.
  std::string Refusal(bool again) const;
  // What became of one; `error` is empty when it was answered.
  void Took(bool again, int64_t ms, const std::string& error);

 private:
  std::array<int64_t, 2> left_ms_;  // first looks, and looks again
  int in_vain_ = 0;
  std::string last_error_;
};

// The adapter `http`: docs/sync/PARITY.md says what is asked and answered. Null, and *error, for an address or a token
// file that can't be used.
std::unique_ptr<EarlierLane> OpenHttpLane(const ParityLane& lane, const EarlierHttpOptions& options,
                                          std::string* error);
// The adapter `table`, by the auditor's own connection and rights. `schema` is the extension's, as an identifier.
std::unique_ptr<EarlierLane> OpenTableLane(const ParityLane& lane, Database* db, const std::string& schema);

// What an HTTP lane's answer says of a document. Pure; hostile input is an answer that is none.
EarlierAnswer ParseEarlierDocument(const std::string& body);
// The keys of a list of documents; nothing when the body is no such list.
std::optional<std::vector<std::string>> ParseEarlierList(const std::string& body, size_t max_keys);

// A JSON array of texts, for a statement's parameter.
std::string JsonTexts(const std::vector<std::string>& texts);

}  // namespace oasync::terminal
