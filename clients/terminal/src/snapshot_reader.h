// SnapshotReader: the documents of a topic over HTTP, page by page, and the cursor that goes with them.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "event_format.h"
#include "exit_code.h"
#include "follower.h"
#include "http_client.h"
#include "token_source.h"

namespace oasync::terminal {

struct SnapshotPage {
  bool is_first = false;
  std::vector<SnapshotDocument> documents;
  Cursor cursor;  // the same on every page
};

// How a request ended; `error` is empty when it went well.
struct RequestResult {
  int exit_code = kExitOk;
  std::string error;
  bool no_source = false;  // the topic has no documents: 409
  bool is_lost = false;    // the server is gone or takes nobody: later may be better
};

class SnapshotReader {
 public:
  SnapshotReader(HttpClient http, const TokenSource& tokens) : http_(std::move(http)), tokens_(tokens) {}

  // Hands out every page; `take` returning false ends it early, without an error. Answers that say "later" are asked
  // for again; when the topic's history went on past the pages, it begins anew, and `is_first` is true again.
  RequestResult Read(const std::string& topic, int limit, const std::function<bool(const SnapshotPage&)>& take) const;

  // One document; its page has none when it does not exist.
  RequestResult ReadDocument(const std::string& topic, const std::string& doc_key, SnapshotPage* page) const;

 private:
  RequestResult Ask(const std::string& path, HttpResponse* response) const;

  const HttpClient http_;
  const TokenSource& tokens_;
};

// The page in an answer's body; nothing, and *error, when it is none. `next` is where its page token goes.
std::optional<SnapshotPage> ParseSnapshotPage(const std::string& body, std::string* next, std::string* error);

}  // namespace oasync::terminal
