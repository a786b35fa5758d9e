// WireProbe: a subscriber that begins just below one document's newest event and looks at what it is sent.
#pragma once

#include <optional>
#include <string>

#include "options.h"
#include "parity_compare.h"
#include "token_source.h"

namespace oasync::terminal {

struct WireAnswer {
  bool answered = false;  // false: it was not subscribed, or the place is gone; `error` says why
  std::string error;
  bool came = false;    // the event
  std::string doc_key;  // of what came
  std::string op;
  DocumentState state;  // likewise; the hash is that which the payload had, checked
};

class WireProbe {
 public:
  WireProbe(ServerOptions server, int64_t within_ms);

  // Subscribes to the topic behind `watermark - 1` and waits for that event. A connection of its own.
  WireAnswer Probe(const std::string& topic, int64_t epoch, int64_t watermark) const;

 private:
  const ServerOptions server_;
  const TokenSource tokens_;
  const int64_t within_ms_;
};

// What differs between an event of the journal and what a subscriber got of it; nothing when they fit, or nothing was
// to be had.
std::optional<Difference> CompareWithWire(const std::string& doc_key, const JournalState& journal,
                                          const WireAnswer& answer);

}  // namespace oasync::terminal
