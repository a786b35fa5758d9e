#include "parity_compare.h"

#include <algorithm>
#include <array>

namespace oasync::terminal {
namespace {

// Between the looks at what differs: short at first, since most of it is just on its way. No more than about twenty
// until a long limit: each costs the earlier lane a request.
constexpr int64_t kFirstPauseMs = 200;
constexpr int64_t kLongestPauseMs = 1000;
constexpr int64_t kPausesOfLimit = 20;
// A document without versions that changes all the time is given up after so many beginnings.
constexpr int kBeginnings = 3;

bool IsBehind(Standing standing) { return standing == Standing::kFirstBehind || standing == Standing::kSecondBehind; }

bool HaveVersions(const DocumentState& first, const DocumentState& second) { return first.version && second.version; }

std::string VersionText(const DocumentState& state) {
  return state.version ? "version " + std::to_string(*state.version) : "a document without version";
}

}  // namespace

const char* ParityReasonName(ParityReason reason) {
  static constexpr const char* kNames[kParityReasons] = {"none", "summary_hash_mismatch", "lag_drift",
                                                         "hash_and_lag_drift", "missing"};
  return kNames[static_cast<size_t>(reason)];
}

const char* ComparedName(Compared compared) {
  static constexpr const char* kNames[] = {"earlier", "stored", "projection", "journal", "wire"};
  return kNames[static_cast<size_t>(compared)];
}

Standing Compare(const DocumentState& first, const DocumentState& second) {
  if (!first.exists && !second.exists) return Standing::kNeither;
  if (!first.exists) return Standing::kFirstLacks;
  if (!second.exists) return Standing::kSecondLacks;
  if (first.version && second.version && *first.version != *second.version) {
    return *first.version < *second.version ? Standing::kFirstBehind : Standing::kSecondBehind;
  }
  return first.hash == second.hash ? Standing::kEqual : Standing::kDifferent;
}

PendingComparison::PendingComparison(const DocumentState& first, const DocumentState& second, int64_t lag_limit_ms,
                                     int64_t now_ms)
    : lag_limit_ms_(lag_limit_ms) {
  Begin(first, second, now_ms);
}

void PendingComparison::Begin(const DocumentState& first, const DocumentState& second, int64_t now_ms) {
  ++begun_;
  first_ = first;
  second_ = second;
  standing_ = Compare(first, second);
  target_ = std::max(first.version.value_or(0), second.version.value_or(0));
  // The side that is ahead may tell since when: that long the other has been behind already. A gap between versions
  // counts from its newest change, since nothing older is known.
  std::optional<double> age;
  if (standing_ == Standing::kFirstBehind || standing_ == Standing::kFirstLacks) age = second.age_s;
  if (standing_ == Standing::kSecondBehind || standing_ == Standing::kSecondLacks) age = first.age_s;
  const auto known_ms = static_cast<int64_t>(std::clamp(age.value_or(0), 0.0, 86400.0) * 1000);
  deadline_ms_ = now_ms + std::max<int64_t>(0, lag_limit_ms_ - known_ms);
  last_look_ms_ = now_ms;
  next_look_ms_ = now_ms + kFirstPauseMs;
}

bool PendingComparison::IsPastLimit(Standing standing, int64_t now_ms) const {
  // At one version there is one content: that it lasts over a pause is enough.
  return (standing == Standing::kDifferent && HaveVersions(first_, second_)) || now_ms >= deadline_ms_;
}

std::optional<PendingComparison::Verdict> PendingComparison::Look(const DocumentState& first,
                                                                  const DocumentState& second, int64_t now_ms) {
  const Standing standing = Compare(first, second);
  if (standing == Standing::kEqual) return Verdict{Outcome::kFits, standing};
  if (standing == Standing::kNeither) return Verdict{Outcome::kGone, standing};
  if (IsBehind(standing) && IsBehind(standing_)) {
    // Who is behind has what there was at the first look: it keeps up, with less than the limit between.
    const auto& behind = standing == Standing::kFirstBehind ? first : second;
    if (*behind.version >= target_) return Verdict{Outcome::kFits, standing};
  }
  // Of documents with versions, two that differ at one version after the other are wrong both times.
  const bool moves = !HaveVersions(first, second) && !(first.IsSameAs(first_) && second.IsSameAs(second_));
  if (standing != standing_ || (standing == Standing::kDifferent && moves)) {
    // Something else than before: what was seen then is over.
    if (begun_ >= kBeginnings) return Verdict{Outcome::kUnsettled, standing};
    Begin(first, second, now_ms);
    return std::nullopt;
  }
  first_ = first;
  second_ = second;
  if (IsPastLimit(standing, now_ms)) return Verdict{Outcome::kDiffers, standing};
  const int64_t longest = std::max(kLongestPauseMs, lag_limit_ms_ / kPausesOfLimit);
  const int64_t pause = std::clamp(2 * (now_ms - last_look_ms_), kFirstPauseMs, longest);
  last_look_ms_ = now_ms;
  next_look_ms_ = std::max(now_ms + 10, std::min(now_ms + pause, deadline_ms_));
  return std::nullopt;
}

ParityReason Combine(const std::vector<Difference>& differences) {
  bool hash = false;
  bool lag = false;
  for (const Difference& difference : differences) {
    if (difference.reason == ParityReason::kMissing) return ParityReason::kMissing;
    hash = hash || difference.reason != ParityReason::kLagDrift;
    lag = lag || difference.reason != ParityReason::kSummaryHashMismatch;
  }
  if (hash && lag) return ParityReason::kHashAndLagDrift;
  if (hash) return ParityReason::kSummaryHashMismatch;
  return lag ? ParityReason::kLagDrift : ParityReason::kNone;
}

std::optional<Difference> CompareWithJournal(const DocumentState& document, const JournalState& journal) {
  Difference difference;
  difference.compared = Compared::kJournal;
  difference.reference = document;
  if (journal.journal == "lost") {
    difference.detail = "the document was written since the table is published, and no event of it is in the journal";
    return difference;
  }
  if (journal.journal != "found") return std::nullopt;
  if (journal.op != "upsert") {
    if (!document.exists) return std::nullopt;
    difference.detail = "its newest event is a " + journal.op + ", and the document is there";
    return difference;
  }
  difference.other = journal.event;
  if (!document.exists) {
    difference.detail = "its newest event is an upsert, and the document is gone";
    return difference;
  }
  switch (Compare(document, journal.event)) {
    case Standing::kFirstBehind:
    case Standing::kSecondBehind:
      difference.reason = ParityReason::kLagDrift;
      difference.detail =
          "the document is " + VersionText(document) + ", its newest event " + VersionText(journal.event);
      return difference;
    case Standing::kDifferent:
      difference.reason = ParityReason::kSummaryHashMismatch;
      difference.detail = "the document has another content than its newest event";
      return difference;
    default:
      return std::nullopt;
  }
}

}  // namespace oasync::terminal
