// The lines that `parity run` and `parity audit` write to stderr, as text or as JSON, each with a stable event id.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "parity_audit.h"

namespace oasync::terminal {

class ParityLog {
 public:
  ParityLog(bool json, bool quiet) : json_(json), quiet_(quiet) {}

  // parity.mismatch: one document. Never a payload.
  void Mismatch(const ParityLane& lane, const ParityMismatch& mismatch) const;
  // parity.audited, parity.failed, parity.busy, parity.wire_failed: what became of an audit.
  void Audit(const ParityLane& lane, const ParityReport& report) const;
  // parity.started, parity.stopped, and parity.failed of what is no audit's.
  void Say(const char* event, const char* level, const std::string& text) const;

 private:
  using Fields = std::vector<std::pair<std::string, nlohmann::json>>;
  void Write(const char* event, const char* level, const Fields& fields) const;

  const bool json_;
  const bool quiet_;
};

}  // namespace oasync::terminal
