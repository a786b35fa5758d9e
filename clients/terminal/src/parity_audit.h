// LaneAudit: one pass over one lane: a sample is drawn, read on both sides, looked at again where it differs, held
// against the journal and the wire, and what came of it is recorded.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "parity_compare.h"
#include "parity_earlier.h"
#include "parity_lane.h"
#include "parity_wire.h"
#include "sql_database.h"

namespace oasync::terminal {

struct ParityMismatch {
  std::string topic;
  std::string doc_key;
  ParityReason reason = ParityReason::kNone;
  Difference first;       // the first of its differences
  std::string detail;     // all of them in words
  int64_t watermark = 0;  // of its newest event; 0: not found
};

struct ParityReport {
  std::string lane;
  int64_t seed = 0;
  double seconds = 0;
  bool busy = false;       // another auditor is at it: nothing was done
  std::string error;       // it came to nothing
  std::string wire_error;  // no probe was answered
  std::array<int64_t, kParityReasons> reasons{};
  int64_t journal_checked = 0;
  int64_t wire_checked = 0;
  int64_t unanswered = 0;
  std::string last_unanswered;  // why, the last time
  std::string last_topic;
  std::vector<ParityMismatch> mismatches;  // at most kMaxMismatches

  int64_t checked() const;
  int64_t mismatched() const { return checked() - reasons[0]; }
};

// Mismatches that are kept one by one; beyond it they are counted.
inline constexpr size_t kMaxMismatches = 1000;

nlohmann::json ReportToJson(const ParityReport& report, const ParityLane& lane);

struct AuditTools {
  Database& db;
  std::string schema;               // of the extension, as an identifier
  const WireProbe* wire = nullptr;  // null: the wire is not looked at
  int probes = 5;                   // documents of an audit whose way over the wire is looked at
};

class LaneAudit {
 public:
  // `earlier` is null for a lane without one.
  LaneAudit(const AuditTools& tools, const ParityLane& lane, EarlierLane* earlier, int64_t seed);

  // Records it too, unless the lane is busy or a signal ended it.
  ParityReport Run();

 private:
  struct Look {
    DocumentState document;
    std::string stored_hash;
    JournalState journal;
    std::string hash_at_version;
  };
  using Looks = std::map<std::string, Look>;
  using Key = std::pair<std::string, std::string>;  // topic, doc_key

  bool Draw();
  void AuditTopic(const std::string& topic, const std::vector<std::string>& keys);
  bool LookAt(const std::string& topic, const std::vector<std::string>& keys, const std::vector<int64_t>& versions,
              Looks* looks);
  bool CompareWithEarlier(const std::string& topic, std::vector<std::string>* keys);
  bool Settle(const std::string& topic, std::map<std::string, PendingComparison>* pending);
  void BookEarlier(const std::string& topic, const std::string& key, const PendingComparison& pending,
                   Standing standing);
  bool HasOtherContent(const std::string& topic, const std::string& key, const PendingComparison& pending,
                       Standing standing);
  bool CompareWithin(const std::string& topic, const std::vector<std::string>& keys, const Looks& looks);
  void CompareProjections(const std::string& topic);
  void ProbeWire();
  void Unanswered(const std::string& why);
  bool Pause(int64_t until_ms) const;
  void Add(const std::string& topic, const std::string& key, Difference difference);
  void Fail(const DatabaseResult& result);
  void Conclude();
  void Record();

  const AuditTools tools_;
  const ParityLane lane_;
  EarlierLane* const earlier_;
  ParityReport report_;
  bool is_answered_ = false;                                // by the earlier lane, for any document
  std::map<std::string, std::vector<std::string>> sample_;  // by topic
  std::vector<std::string> topics_;                         // in the order of the sample
  std::set<Key> checked_;
  std::map<Key, std::vector<Difference>> differences_;
  std::map<Key, JournalState> journal_;  // of documents whose newest event was found
};

}  // namespace oasync::terminal
