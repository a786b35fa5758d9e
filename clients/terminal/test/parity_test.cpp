// The pure parts of `oa-sync parity`: hashes, answers of an HTTP lane, classification, the gate.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <functional>

#include "canonical_text.h"
#include "parity_compare.h"
#include "parity_earlier.h"
#include "parity_gate.h"
#include "parity_lane.h"
#include "parity_wire.h"

namespace oasync::terminal {
namespace {

constexpr char kHash[] = "43258cff783fe7036d8a43033f830adfc60ec037382473548ac742b888292777";

TEST(CanonicalText, HashesAsTheProjectDoes) {
  EXPECT_EQ(CanonicalJson(R"( {"b": 2, "a" : 1} )"), R"({"a":1,"b":2})");
  EXPECT_EQ(PayloadHash(R"({"b":2,"a":1})"), kHash);
  EXPECT_EQ(PayloadHash(R"({"tags":["z","a"],"active":true,"deleted":null,"retry_after_ms":1500})"),
            "b5ef670c5e47639c44a0ed4ba6901df6b0e7f59e41e4102bb26e76fb1f4af946");
  EXPECT_NE(PayloadHash("1.50"), PayloadHash("1.5"));  // numbers as they are written
  for (const char* bad : {"", "{", "{} {}", "nul", "\xff"}) EXPECT_EQ(PayloadHash(bad), std::nullopt) << bad;
  EXPECT_EQ(PayloadHash(std::string(5000, '[') + std::string(5000, ']')), std::nullopt);
}

TEST(CanonicalText, TakesHashesInEveryForm) {
  EXPECT_EQ(NormalHash(kHash), kHash);
  EXPECT_EQ(NormalHash(std::string("\\x") + kHash), kHash);
  EXPECT_EQ(NormalHash("43258CFF783FE7036D8A43033F830ADFC60EC037382473548AC742B888292777"), kHash);
  EXPECT_EQ(NormalHash("QyWM/3g/5wNtikMDP4MK38YOwDc4JHNUisdCuIgpJ3c="), kHash);
  EXPECT_EQ(NormalHash("QyWM_3g_5wNtikMDP4MK38YOwDc4JHNUisdCuIgpJ3c"), kHash);
  for (const std::string& bad : {std::string(), std::string(64, 'g'), std::string("abc"), std::string(43, '!'),
                                 std::string(kHash).substr(2), std::string(kHash) + "00"}) {
    EXPECT_EQ(NormalHash(bad), std::nullopt) << bad;
  }
}

DocumentState At(int64_t version, const char* hash) { return {true, version, hash, {}}; }
DocumentState Unversioned(const char* hash) { return {true, std::nullopt, hash, {}}; }
DocumentState WithAge(DocumentState state, double age_s) {
  state.age_s = age_s;
  return state;
}
const DocumentState kAbsent;

TEST(ParityCompare, OneLook) {
  EXPECT_EQ(Compare(At(1, "a"), At(1, "a")), Standing::kEqual);
  EXPECT_EQ(Compare(kAbsent, kAbsent), Standing::kNeither);
  EXPECT_EQ(Compare(At(1, "a"), At(1, "b")), Standing::kDifferent);
  EXPECT_EQ(Compare(At(1, "a"), At(2, "a")), Standing::kFirstBehind);
  EXPECT_EQ(Compare(At(3, "a"), At(2, "b")), Standing::kSecondBehind);
  EXPECT_EQ(Compare(kAbsent, At(1, "a")), Standing::kFirstLacks);
  EXPECT_EQ(Compare(At(1, "a"), kAbsent), Standing::kSecondLacks);
  EXPECT_EQ(Compare(Unversioned("a"), At(7, "a")), Standing::kEqual);
  EXPECT_EQ(Compare(At(7, "a"), Unversioned("b")), Standing::kDifferent);
}

using Outcome = PendingComparison::Outcome;

// The outcome of looks at the times given; the limit is ten seconds.
std::optional<PendingComparison::Verdict> After(PendingComparison* pending, const DocumentState& first,
                                                const DocumentState& second, int64_t at_ms) {
  return pending->Look(first, second, at_ms);
}

TEST(ParityCompare, WhoCatchesUpInTimeFits) {
  PendingComparison pending(At(4, "a"), At(5, "b"), 10000, 0);
  EXPECT_EQ(pending.next_look_ms(), 200);
  EXPECT_FALSE(After(&pending, At(4, "a"), At(5, "b"), 200));
  EXPECT_EQ(After(&pending, At(5, "b"), At(5, "b"), 600)->outcome, Outcome::kFits);
  // It has what there was at the first look, and the other is ahead again.
  PendingComparison busy(At(4, "a"), At(5, "b"), 10000, 0);
  EXPECT_FALSE(After(&busy, At(4, "a"), At(6, "c"), 200));
  EXPECT_EQ(After(&busy, At(5, "b"), At(7, "d"), 600)->outcome, Outcome::kFits);
  // The other way round, and overtaken.
  PendingComparison turned(At(6, "a"), At(5, "b"), 10000, 0);
  EXPECT_EQ(After(&turned, At(6, "a"), At(7, "c"), 200)->outcome, Outcome::kFits);
}

TEST(ParityCompare, WhoStaysBehindDiffersFromTheLimitOn) {
  PendingComparison pending(At(4, "a"), At(9, "b"), 10000, 0);
  int64_t last = 0;
  std::optional<PendingComparison::Verdict> verdict;
  for (int looks = 0; !verdict && looks < 100; ++looks) {
    last = pending.next_look_ms();
    // It moves, and not far enough.
    verdict = After(&pending, At(looks < 5 ? 4 : 8, "a"), At(20 + looks, "c"), last);
  }
  ASSERT_TRUE(verdict);
  EXPECT_EQ(verdict->outcome, Outcome::kDiffers);
  EXPECT_EQ(verdict->standing, Standing::kFirstBehind);
  EXPECT_GE(last, 10000);
  EXPECT_LE(last, 10100);
}

TEST(ParityCompare, ALongLimitTakesFewLooks) {
  constexpr int64_t kTenMinutes = 600000;
  PendingComparison pending(At(4, "a"), At(5, "b"), kTenMinutes, 0);
  int looks = 0;
  int64_t now = 0;
  for (std::optional<PendingComparison::Verdict> verdict; !verdict && looks < 1000; ++looks) {
    now = pending.next_look_ms();
    verdict = After(&pending, At(4, "a"), At(5, "b"), now);
  }
  EXPECT_EQ(now, kTenMinutes);
  EXPECT_LT(looks, 40);
}

TEST(ParityCompare, AKnownAgeCountsButOneMoreLookIsTaken) {
  PendingComparison old(At(4, "a"), WithAge(At(5, "b"), 60), 10000, 0);
  EXPECT_EQ(After(&old, At(4, "a"), WithAge(At(5, "b"), 60), 200)->outcome, Outcome::kDiffers);
  PendingComparison young(At(4, "a"), WithAge(At(5, "b"), 4), 10000, 0);
  EXPECT_FALSE(After(&young, At(4, "a"), At(5, "b"), 5900));
  EXPECT_EQ(After(&young, At(4, "a"), At(5, "b"), 6000)->outcome, Outcome::kDiffers);
  // The age of who is behind says nothing.
  PendingComparison other(WithAge(At(4, "a"), 60), At(5, "b"), 10000, 0);
  EXPECT_FALSE(After(&other, At(4, "a"), At(5, "b"), 9000));
  // A clock that is wrong does no harm.
  PendingComparison future(At(4, "a"), WithAge(At(5, "b"), -1e18), 10000, 0);
  EXPECT_FALSE(After(&future, At(4, "a"), At(5, "b"), 9000));
}

TEST(ParityCompare, OtherContentAtOneVersionIsSeenTwice) {
  PendingComparison pending(At(4, "a"), At(4, "b"), 10000, 0);
  const auto verdict = After(&pending, At(4, "a"), At(4, "b"), 200);
  EXPECT_EQ(verdict->outcome, Outcome::kDiffers);
  EXPECT_EQ(verdict->standing, Standing::kDifferent);
  PendingComparison mended(At(4, "a"), At(4, "b"), 10000, 0);
  EXPECT_EQ(After(&mended, At(4, "b"), At(4, "b"), 200)->outcome, Outcome::kFits);
  // At the next version again: it is made differently.
  PendingComparison next(At(4, "a"), At(4, "b"), 10000, 0);
  EXPECT_EQ(After(&next, At(5, "c"), At(5, "d"), 200)->outcome, Outcome::kDiffers);
  // One side has gone on meanwhile: then it has to be late first.
  PendingComparison moved(At(4, "a"), At(4, "b"), 10000, 0);
  EXPECT_FALSE(After(&moved, At(4, "a"), At(5, "c"), 200));
  EXPECT_EQ(After(&moved, At(5, "c"), At(5, "c"), 400)->outcome, Outcome::kFits);
}

TEST(ParityCompare, WithoutVersionsOnlyWhatRestsIsJudged) {
  PendingComparison rests(Unversioned("a"), At(4, "b"), 10000, 0);
  EXPECT_FALSE(After(&rests, Unversioned("a"), At(4, "b"), 9999));
  EXPECT_EQ(After(&rests, Unversioned("a"), At(4, "b"), 10000)->outcome, Outcome::kDiffers);
  PendingComparison moves(Unversioned("a"), At(4, "b"), 10000, 0);
  EXPECT_FALSE(After(&moves, Unversioned("a"), At(5, "c"), 9000));
  EXPECT_FALSE(After(&moves, Unversioned("a"), At(6, "d"), 18000));
  EXPECT_EQ(After(&moves, Unversioned("a"), At(7, "e"), 27000)->outcome, Outcome::kUnsettled);
}

TEST(ParityCompare, WhatOneSideLacks) {
  PendingComparison made(kAbsent, At(1, "a"), 10000, 0);
  EXPECT_FALSE(After(&made, kAbsent, At(1, "a"), 9000));
  EXPECT_EQ(After(&made, At(1, "a"), At(1, "a"), 9500)->outcome, Outcome::kFits);
  PendingComparison deleted(At(1, "a"), kAbsent, 10000, 0);
  EXPECT_EQ(After(&deleted, kAbsent, kAbsent, 200)->outcome, Outcome::kGone);
  PendingComparison stays(At(1, "a"), kAbsent, 10000, 0);
  EXPECT_FALSE(After(&stays, At(1, "a"), kAbsent, 9999));
  const auto verdict = After(&stays, At(1, "a"), kAbsent, 10000);
  EXPECT_EQ(verdict->outcome, Outcome::kDiffers);
  EXPECT_EQ(verdict->standing, Standing::kSecondLacks);
  // It has come, and is behind now: the time begins anew, and not for ever.
  PendingComparison late(kAbsent, At(5, "b"), 10000, 0);
  EXPECT_FALSE(After(&late, At(4, "a"), At(5, "b"), 9000));
  EXPECT_FALSE(After(&late, At(4, "a"), At(5, "b"), 18000));
  EXPECT_EQ(After(&late, At(4, "a"), At(5, "b"), 19000)->outcome, Outcome::kDiffers);
}

Difference Of(ParityReason reason) {
  Difference difference;
  difference.reason = reason;
  return difference;
}

TEST(ParityCompare, OneReasonForADocument) {
  const auto combined = [](std::initializer_list<ParityReason> reasons) {
    std::vector<Difference> differences;
    for (const ParityReason reason : reasons) differences.push_back(Of(reason));
    return Combine(differences);
  };
  using R = ParityReason;
  EXPECT_EQ(combined({}), R::kNone);
  EXPECT_EQ(combined({R::kLagDrift}), R::kLagDrift);
  EXPECT_EQ(combined({R::kSummaryHashMismatch, R::kSummaryHashMismatch}), R::kSummaryHashMismatch);
  EXPECT_EQ(combined({R::kLagDrift, R::kSummaryHashMismatch}), R::kHashAndLagDrift);
  EXPECT_EQ(combined({R::kHashAndLagDrift}), R::kHashAndLagDrift);
  EXPECT_EQ(combined({R::kLagDrift, R::kMissing}), R::kMissing);
  EXPECT_STREQ(ParityReasonName(R::kHashAndLagDrift), "hash_and_lag_drift");
}

JournalState Journal(const char* op, DocumentState event) {
  JournalState state;
  state.journal = "found";
  state.op = op;
  state.event = std::move(event);
  return state;
}

TEST(ParityCompare, WithTheJournal) {
  const auto reason = [](const DocumentState& document, const JournalState& journal) {
    const auto difference = CompareWithJournal(document, journal);
    return difference ? difference->reason : ParityReason::kNone;
  };
  EXPECT_EQ(reason(At(1, "a"), Journal("upsert", At(1, "a"))), ParityReason::kNone);
  EXPECT_EQ(reason(At(1, "a"), Journal("upsert", At(1, "b"))), ParityReason::kSummaryHashMismatch);
  EXPECT_EQ(reason(At(2, "a"), Journal("upsert", At(1, "a"))), ParityReason::kLagDrift);
  EXPECT_EQ(reason(At(1, "a"), Journal("upsert", At(2, "a"))), ParityReason::kLagDrift);
  EXPECT_EQ(reason(kAbsent, Journal("upsert", At(2, "a"))), ParityReason::kMissing);
  EXPECT_EQ(reason(At(1, "a"), Journal("delete", {})), ParityReason::kMissing);
  EXPECT_EQ(reason(At(1, "a"), Journal("truncate", {})), ParityReason::kMissing);
  EXPECT_EQ(reason(kAbsent, Journal("delete", {})), ParityReason::kNone);
  for (const char* unknown : {"none", "not_searched", "not_retained"}) {
    JournalState journal;
    journal.journal = unknown;
    EXPECT_EQ(reason(At(1, "a"), journal), ParityReason::kNone) << unknown;
  }
  JournalState lost;
  lost.journal = "lost";
  EXPECT_EQ(reason(At(1, "a"), lost), ParityReason::kMissing);
}

TEST(ParityCompare, WithTheWire) {
  const JournalState journal = Journal("upsert", At(3, "a"));
  const auto reason = [&](const WireAnswer& answer, const JournalState& expected) {
    const auto difference = CompareWithWire("k", expected, answer);
    return difference ? difference->reason : ParityReason::kNone;
  };
  WireAnswer good{true, {}, true, "k", "upsert", At(3, "a")};
  EXPECT_EQ(reason(good, journal), ParityReason::kNone);
  WireAnswer other = good;
  other.state.hash = "b";
  EXPECT_EQ(reason(other, journal), ParityReason::kSummaryHashMismatch);
  other = good;
  other.doc_key = "another";
  EXPECT_EQ(reason(other, journal), ParityReason::kSummaryHashMismatch);
  EXPECT_EQ(reason(WireAnswer{true, {}, false, {}, {}, {}}, journal), ParityReason::kLagDrift);
  EXPECT_EQ(reason(WireAnswer{true, "a payload with another hash", false, {}, {}, {}}, journal),
            ParityReason::kSummaryHashMismatch);
  EXPECT_EQ(reason(WireAnswer{false, "nobody there", false, {}, {}, {}}, journal), ParityReason::kNone);
  EXPECT_EQ(reason(WireAnswer{true, {}, true, "prefix:", "truncate", {}}, Journal("truncate", {})),
            ParityReason::kNone);
}

TEST(ParityEarlier, UnderstandsDocuments) {
  const EarlierAnswer whole = ParseEarlierDocument(R"({"doc_version":7,"payload":{"b":2,"a":1},"more":[1]})");
  ASSERT_TRUE(whole.answered) << whole.error;
  EXPECT_TRUE(whole.state.exists);
  EXPECT_EQ(whole.state.version, 7);
  EXPECT_EQ(whole.state.hash, kHash);
  EXPECT_EQ(ParseEarlierDocument(R"({"doc_version":"9223372036854775807","payload":1})").state.version,
            9223372036854775807);
  EXPECT_EQ(ParseEarlierDocument(R"({"payload":null})").state.version, std::nullopt);
  EXPECT_TRUE(ParseEarlierDocument(R"({"payload":null})").state.exists);
  EXPECT_EQ(ParseEarlierDocument(R"({"payload":1.50})").state.hash, PayloadHash("1.50"));
  // The payload counts before a hash that somebody claims.
  EXPECT_EQ(ParseEarlierDocument(std::string(R"({"payload":1,"payload_hash":")") + kHash + "\"}").state.hash,
            PayloadHash("1"));
  // "payload" inside of another member is none.
  EXPECT_EQ(ParseEarlierDocument(R"({"x":{"payload":2},"payload":1})").state.hash, PayloadHash("1"));
  const EarlierAnswer deleted = ParseEarlierDocument(R"({"deleted":true,"payload":1})");
  EXPECT_TRUE(deleted.answered);
  EXPECT_FALSE(deleted.state.exists);
}

TEST(ParityEarlier, EveryBeginningAndEveryFlippedByteOfAnAnswerIsSurvived) {
  const std::string good = std::string(R"({"doc_version":7,"payload":{"b":[1,"\u00e4\""],"a":{}},"payload_hash":")") +
                           kHash + R"(","deleted":false})";
  ASSERT_TRUE(ParseEarlierDocument(good).answered);
  for (size_t i = 0; i < good.size(); ++i) {
    EXPECT_FALSE(ParseEarlierDocument(good.substr(0, i)).answered);
    for (const char c : {'\0', '"', '{', '\\', '\xff'}) {
      std::string other = good;
      other[i] = c;
      const EarlierAnswer answer = ParseEarlierDocument(other);
      EXPECT_NE(answer.answered, answer.state.hash.empty() && !answer.error.empty());
      ParseEarlierList(other, 10);
    }
  }
}

TEST(ParityEarlier, WhatAnAuditMayAsk) {
  AskBudget slow(1000);
  slow.Took(false, 999, "");
  EXPECT_EQ(slow.Refusal(false), "");
  slow.Took(false, 1, "");
  EXPECT_EQ(slow.Refusal(false), "the time for this audit was over");
  // What differed is looked at again all the same.
  EXPECT_EQ(slow.Refusal(true), "");
  slow.Took(true, 1000, "");
  EXPECT_NE(slow.Refusal(true), "");
  AskBudget gone(1000);
  for (int i = 0; i < 4; ++i) gone.Took(false, 1, "refused");
  gone.Took(false, 1, "");  // an answer between
  for (int i = 0; i < 4; ++i) gone.Took(false, 1, "refused");
  EXPECT_EQ(gone.Refusal(false), "");
  gone.Took(true, 1, "HTTP 500");
  EXPECT_EQ(gone.Refusal(false), "HTTP 500");
  EXPECT_EQ(gone.Refusal(true), "HTTP 500");
}

TEST(ParityEarlier, TakesKeysFromLists) {
  EXPECT_EQ(ParseEarlierList(R"({"documents":[{"doc_key":"a"},"b",{"doc_key":""},7]})", 10),
            (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(ParseEarlierList(R"({"documents":["a","b","c"]})", 2), (std::vector<std::string>{"a", "b"}));
  for (const char* none : {"", "[]", "{}", R"({"documents":{}})", R"({"doc_version":1,"payload":1})"}) {
    EXPECT_EQ(ParseEarlierList(none, 10), std::nullopt) << none;
  }
}

ParityLane Good() {
  ParityLane lane;
  lane.name = "runs";
  lane.enabled = true;
  lane.max_age_s = 300;
  lane.audit_age_s = 5;
  lane.checked = 1000;
  lane.by_reason[0] = 1000;
  return lane;
}

TEST(ParityGate, IsOpenOnlyWhenNothingSpeaksAgainstIt) {
  const auto closed = [](const std::function<void(ParityLane&)>& spoil) {
    ParityLane lane = Good();
    spoil(lane);
    return JudgeLane(lane, {}).reasons_closed.size();
  };
  EXPECT_EQ(closed([](auto&) {}), 0u);
  EXPECT_EQ(closed([](auto& lane) { lane.mismatched = 9; }), 0u);
  EXPECT_EQ(closed([](auto& lane) { lane.mismatched = 10; }), 1u);  // 0.01 is not below 0.01
  EXPECT_EQ(closed([](auto& lane) { lane.checked = 99; }), 1u);
  EXPECT_EQ(closed([](auto& lane) { lane.checked = 100; }), 0u);
  EXPECT_EQ(closed([](auto& lane) { lane.audit_age_s = 301; }), 1u);
  EXPECT_EQ(closed([](auto& lane) { lane.audit_age_s.reset(); }), 1u);
  EXPECT_EQ(closed([](auto& lane) { lane.enabled = false; }), 1u);
  EXPECT_EQ(closed([](auto& lane) { lane.last_error = "gone"; }), 1u);
  EXPECT_EQ(closed([](auto& lane) { lane.unanswered = 111; }), 0u);
  EXPECT_EQ(closed([](auto& lane) { lane.unanswered = 112; }), 1u);
  EXPECT_FALSE(IsOpen({}));
  EXPECT_TRUE(IsOpen({JudgeLane(Good(), {})}));
  // Limits that would let everything through do not.
  ParityLane nothing = Good();
  nothing.checked = 0;
  EXPECT_EQ(JudgeLane(nothing, {0.01, 0}).reasons_closed,
            std::vector<std::string>{"0 documents were compared, and 1 are needed"});
  EXPECT_EQ(JudgeLane(Good(), {std::nan(""), 100}).reasons_closed.size(), 1u);
  ParityLane bad = Good();
  bad.mismatched = 1000;
  EXPECT_FALSE(IsOpen({JudgeLane(Good(), {}), JudgeLane(bad, {})}));
  EXPECT_FALSE(GateToJson({JudgeLane(bad, {})})["open"].get<bool>());
}

TEST(ParityLanes, AreReadAndChosen) {
  const auto lanes = ParseLanes(R"([{"lane":"a","enabled":true,"checked":5,"by_reason":{"none":4,"missing":1}},
                                    {"lane":"b","enabled":false,"audit_age_s":null,"last_error":{"error":"gone"}}])");
  ASSERT_TRUE(lanes);
  ASSERT_EQ(lanes->size(), 2u);
  EXPECT_EQ((*lanes)[0].by_reason, (std::array<int64_t, kParityReasons>{4, 0, 0, 0, 1}));
  EXPECT_EQ((*lanes)[1].last_error, "gone");
  std::string unknown;
  EXPECT_EQ(SelectLanes(*lanes, {}, true, &unknown).size(), 1u);
  EXPECT_EQ(SelectLanes(*lanes, {}, false, &unknown).size(), 2u);
  EXPECT_EQ(SelectLanes(*lanes, {"b"}, true, &unknown).size(), 1u);  // named: whether it is enabled is said elsewhere
  EXPECT_EQ(unknown, "");
  SelectLanes(*lanes, {"c"}, true, &unknown);
  EXPECT_EQ(unknown, "c");
  for (const char* bad : {"", "{}", "[1]", "[{]"}) EXPECT_FALSE(ParseLanes(bad)) << bad;
}

}  // namespace
}  // namespace oasync::terminal
