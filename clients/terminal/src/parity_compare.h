// What two looks at a document come to: docs/sync/PARITY.md has the rules as a table. Pure; times come from outside.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace oasync::terminal {

enum class ParityReason : uint8_t { kNone, kSummaryHashMismatch, kLagDrift, kHashAndLagDrift, kMissing };
inline constexpr int kParityReasons = 5;

// "summary_hash_mismatch", …
const char* ParityReasonName(ParityReason reason);

// A document as one side has it.
struct DocumentState {
  bool exists = false;
  std::optional<int64_t> version;  // nothing: that side has none, and only contents are compared
  std::string hash;                // of the canonical payload, hexadecimal
  std::optional<double> age_s;     // since it came to be as it is (or to be gone), where that is known

  bool IsSameAs(const DocumentState& other) const {
    return exists == other.exists && version == other.version && hash == other.hash;
  }
};

// How two states stand to each other at one moment.
enum class Standing : uint8_t {
  kEqual,
  kNeither,       // neither side has the document
  kDifferent,     // another content at the same version, or without versions
  kFirstBehind,   // the first has a lower version
  kSecondBehind,  // the second has
  kFirstLacks,    // only the second has the document
  kSecondLacks,
};
Standing Compare(const DocumentState& first, const DocumentState& second);

// A document whose two sides differed at the first look: looked at again until it is clear what that is.
class PendingComparison {
 public:
  // How a document that differed may end.
  enum class Outcome : uint8_t {
    kFits,      // it was only being changed
    kGone,      // it is on neither side any more
    kDiffers,   // `standing` says how, beyond the limit
    kUnsettled  // it changed all the time, and without versions nobody can say which state belongs to which
  };
  struct Verdict {
    Outcome outcome = Outcome::kFits;
    Standing standing = Standing::kEqual;  // of kDiffers
  };

  PendingComparison(const DocumentState& first, const DocumentState& second, int64_t lag_limit_ms, int64_t now_ms);

  // One more look. Nothing: another one is needed, at next_look_ms().
  std::optional<Verdict> Look(const DocumentState& first, const DocumentState& second, int64_t now_ms);
  int64_t next_look_ms() const { return next_look_ms_; }
  const DocumentState& first() const { return first_; }
  const DocumentState& second() const { return second_; }

 private:
  void Begin(const DocumentState& first, const DocumentState& second, int64_t now_ms);
  bool IsPastLimit(Standing standing, int64_t now_ms) const;

  const int64_t lag_limit_ms_;
  DocumentState first_;   // at the look before
  DocumentState second_;  // likewise
  Standing standing_ = Standing::kEqual;
  int64_t target_ = 0;       // the version that who is behind has to reach
  int64_t deadline_ms_ = 0;  // from then on it counts
  int64_t last_look_ms_ = 0;
  int64_t next_look_ms_ = 0;
  int begun_ = 0;
};

// A pair of places whose document differs.
enum class Compared : uint8_t { kEarlier, kStored, kProjection, kJournal, kWire };
const char* ComparedName(Compared compared);

struct Difference {
  Compared compared = Compared::kEarlier;
  ParityReason reason = ParityReason::kMissing;
  std::string booked_to = "oa_sync";
  std::string detail;
  DocumentState reference;
  DocumentState other;
};

// One reason for a document that differs in several places: missing before all; content and lag, of whichever places,
// are both.
ParityReason Combine(const std::vector<Difference>& differences);

// A document that is held against its newest event, of the same snapshot.
struct JournalState {
  std::string journal;  // found, not_searched, lost, not_retained, none: as sync_parity_documents() says it
  std::string op;
  DocumentState event;  // of an upsert
  int64_t watermark = 0;
  int64_t epoch = 0;
};
// Nothing when they fit, or when there is nothing to compare with.
std::optional<Difference> CompareWithJournal(const DocumentState& document, const JournalState& journal);

}  // namespace oasync::terminal
