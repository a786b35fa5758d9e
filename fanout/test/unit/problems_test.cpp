// What is wrong, in words: facts in which one thing is not as it should be.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "admin/database_glance.h"
#include "admin/problems.h"

namespace oasync {
namespace {

using Json = nlohmann::json;

GlanceRef GlanceOf(Json overview) {
  auto glance = std::make_shared<Glance>();
  glance->reachable = true;
  glance->overview = std::move(overview);
  return glance;
}

Json GoodDatabase() {
  return {{"extension_version", "0.4.0"},
          {"in_recovery", false},
          {"wal_level", "logical"},
          {"default_partition_used", false},
          {"role_may_replicate", true},
          {"slots", 1},
          {"max_slots", 10},
          {"oldest_writer_s", 0},
          {"prepared_transactions", 0},
          {"stats", {{"worker_pid", 7}, {"voids_pending", 0}, {"heads_evicted", 0}}}};
}

HealthFacts GoodFacts() {
  HealthFacts facts;
  facts.tail_mode = TailMode::kLogical;
  facts.max_slot_wal_bytes = 1000;
  facts.max_connections = 100;
  facts.now_s = 1'700'000'000;
  facts.version = "0.4.0";
  facts.glance = GlanceOf(GoodDatabase());
  return facts;
}

// A lane that is audited every now and then, with what the last hour's audits found.
ParityLaneFacts ParityLane(int64_t checked, int64_t mismatched, double age_s) {
  ParityLaneFacts lane;
  lane.name = "runs";
  lane.enabled = true;
  lane.max_rate = 0.01;
  lane.max_age_s = 300;
  lane.enabled_s = 3600;
  lane.audit_age_s = age_s;
  lane.checked = checked;
  lane.mismatched = mismatched;
  return lane;
}

// Facts in which one thing is wrong; the codes that come of it.
std::vector<std::string> CodesOf(const std::function<void(HealthFacts&)>& spoil) {
  HealthFacts facts = GoodFacts();
  spoil(facts);
  std::vector<std::string> codes;
  for (const Problem& problem : FindProblems(facts)) {
    codes.emplace_back(problem.code);
    EXPECT_FALSE(problem.what.empty()) << problem.code;
    EXPECT_FALSE(problem.todo.empty()) << problem.code;
  }
  return codes;
}

void SpoilDatabase(HealthFacts& facts, const char* name, Json value) {
  Json database = facts.glance->overview;
  database[name] = std::move(value);
  facts.glance = GlanceOf(database);
}

void SpoilStatistics(HealthFacts& facts, const char* name, Json value) {
  Json stats = facts.glance->overview["stats"];
  stats[name] = std::move(value);
  SpoilDatabase(facts, "stats", stats);
}

const std::map<std::string, std::function<void(HealthFacts&)>>& Spoilers() {
  const auto recent = [](Recent what) {
    return [what](HealthFacts& facts) { facts.recent[static_cast<size_t>(what)] = 3; };
  };
  static const std::map<std::string, std::function<void(HealthFacts&)>> kSpoilers = {
      {"tail_down", [](auto& facts) { facts.tail_mode = TailMode::kDown; }},
      {"canary_late", [](auto& facts) { facts.unready_reason = "canary_late"; }},
      {"tail_on_journal",
       [](auto& facts) {
         facts.tail_mode = TailMode::kJournal;
         facts.tail_in_mode_ms = 60000;
       }},
      {"slot_wal", [](auto& facts) { facts.slot_wal_bytes = 900; }},
      {"slot_behind", [](auto& facts) { facts.slot_lag_ms = 20000; }},
      {"slot_invalidated", recent(Recent::kSlotInvalidations)},
      {"decode_errors", recent(Recent::kDecodeErrors)},
      {"database_unreachable", [](auto& facts) { facts.glance = std::make_shared<Glance>(); }},
      {"extension_old", [](auto& facts) { SpoilDatabase(facts, "extension_version", "0.3.0"); }},
      {"functions_not_granted", [](auto& facts) { SpoilDatabase(facts, "stats", nullptr); }},
      {"clock_difference",
       [](auto& facts) {
         auto glance = std::make_shared<Glance>(*facts.glance);
         glance->clock_ahead_ms = -5000;
         facts.glance = glance;
       }},
      {"default_partition", [](auto& facts) { SpoilDatabase(facts, "default_partition_used", true); }},
      {"worker_not_running", [](auto& facts) { SpoilStatistics(facts, "worker_pid", nullptr); }},
      {"voids_pending",
       [](auto& facts) {
         auto glance = std::make_shared<Glance>(*facts.glance);
         glance->voids_pending_ms = 20000;
         facts.glance = glance;
       }},
      {"heads_evicted", recent(Recent::kHeadsEvicted)},
      {"loop_stalled", [](auto& facts) { facts.stalled_loops = 1; }},
      {"memory_pressure", [](auto& facts) { facts.memory_pressure = true; }},
      {"loop_busy", [](auto& facts) { facts.busiest_loop = 0.95; }},
      {"loop_lost", recent(Recent::kLoopLost)},
      {"journal_errors", recent(Recent::kJournalErrors)},
      {"revocations_forgotten", [](auto& facts) { facts.revocations_forgotten = 1; }},
      {"revocations_unknown", [](auto& facts) { facts.revocations_known = false; }},
      {"keys_not_read", recent(Recent::kKeyFailures)},
      {"certificate_not_read", recent(Recent::kTlsFailures)},
      {"certificate_expires", [](auto& facts) { facts.certificate_expires_s = facts.now_s + 86400; }},
      {"connections_near_limit", [](auto& facts) { facts.connections = 95; }},
      {"turned_away", recent(Recent::kTurnedAway)},
      {"rate_limited", recent(Recent::kRateLimited)},
      {"storm", recent(Recent::kStormsRefused)},
      {"slow_consumers", recent(Recent::kSlowClosed)},
      {"stale_cursors", recent(Recent::kStaleCursors)},
      {"http_timeouts", recent(Recent::kHttpTimeouts)},
      {"parity_mismatch", [](HealthFacts& facts) { facts.parity = {ParityLane(1000, 10, 5)}; }},
  };
  return kSpoilers;
}

TEST(Problems, NoneWhenAllIsWell) {
  EXPECT_EQ(CodesOf([](auto&) {}), std::vector<std::string>());
  // Nobody has looked at the database yet: nothing is said of it.
  EXPECT_EQ(CodesOf([](auto& facts) { facts.glance = nullptr; }), std::vector<std::string>());
}

TEST(Problems, EachIsFoundByItself) {
  std::set<std::string> codes(ProblemCodes().begin(), ProblemCodes().end());
  EXPECT_EQ(codes.size(), ProblemCodes().size());
  for (const auto& [code, spoil] : Spoilers()) {
    EXPECT_EQ(CodesOf(spoil), std::vector<std::string>{code});
    codes.erase(code);
  }
  EXPECT_TRUE(codes.empty()) << *codes.begin() << " is not tested";
}

TEST(Problems, ParityIsReportedOnlyWhereSomethingIsWrong) {
  const auto says = [](const ParityLaneFacts& lane) {
    return CodesOf([&](HealthFacts& facts) { facts.parity = {lane}; });
  };
  const std::vector<std::string> once = {"parity_mismatch"};
  EXPECT_EQ(says(ParityLane(1000, 9, 5)), std::vector<std::string>());  // below the limit
  EXPECT_EQ(says(ParityLane(1000, 10, 5)), once);                       // at it
  EXPECT_EQ(says(ParityLane(0, 0, 5)), std::vector<std::string>());     // nothing there to compare
  EXPECT_EQ(says(ParityLane(1000, 0, 301)), once);                      // the audits stopped
  EXPECT_EQ(says(ParityLane(0, 0, -1)), once);                          // or never began
  ParityLaneFacts lane = ParityLane(0, 0, -1);
  lane.enabled_s = 10;
  EXPECT_EQ(says(lane), std::vector<std::string>());  // enabled a moment ago
  lane = ParityLane(1000, 1000, 301);
  lane.enabled = false;
  EXPECT_EQ(says(lane), std::vector<std::string>());
}

TEST(Problems, EachHasItsSectionInTheDocumentation) {
  std::ifstream page(OA_SYNC_DOCS "/operations/problems.md");
  ASSERT_TRUE(page);
  std::set<std::string> sections;
  for (std::string line; std::getline(page, line);) {
    if (line.substr(0, 3) == "## ") sections.insert(line.substr(3));
  }
  EXPECT_EQ(sections, std::set<std::string>(ProblemCodes().begin(), ProblemCodes().end()));
}

TEST(Problems, WithoutASlotTheLikeliestReasonIsSaid) {
  const auto todo = [](const std::function<void(HealthFacts&)>& spoil) {
    HealthFacts facts = GoodFacts();
    facts.tail_mode = TailMode::kJournal;
    facts.tail_in_mode_ms = 60000;
    spoil(facts);
    const auto problems = FindProblems(facts);
    const auto found = std::find_if(problems.begin(), problems.end(),
                                    [](const Problem& one) { return std::string_view(one.code) == "tail_on_journal"; });
    return found == problems.end() ? std::string() : found->todo;
  };
  EXPECT_NE(todo([](auto& facts) { SpoilDatabase(facts, "wal_level", "replica"); }).find("wal_level"),
            std::string::npos);
  EXPECT_NE(todo([](auto& facts) { SpoilDatabase(facts, "role_may_replicate", false); }).find("REPLICATION"),
            std::string::npos);
  EXPECT_NE(todo([](auto& facts) { SpoilDatabase(facts, "slots", 10); }).find("max_replication_slots"),
            std::string::npos);
  EXPECT_NE(todo([](auto& facts) { SpoilDatabase(facts, "plugin_listed", false); }).find("output_plugin_libraries"),
            std::string::npos);
  EXPECT_NE(todo([](auto& facts) { SpoilDatabase(facts, "oldest_writer_s", 600); }).find("600 s"), std::string::npos);
  EXPECT_NE(todo([](auto& facts) { SpoilDatabase(facts, "prepared_transactions", 1); }).find("pg_prepared_xacts"),
            std::string::npos);
  EXPECT_NE(todo([](auto& facts) { SpoilDatabase(facts, "in_recovery", true); }).find("standby"), std::string::npos);
  EXPECT_NE(todo([](auto&) {}).find("log"), std::string::npos);
  // Meant so, or only for a moment: no problem.
  EXPECT_EQ(todo([](auto& facts) { facts.tail_wants_slot = false; }), "");
  EXPECT_EQ(todo([](auto& facts) { facts.tail_in_mode_ms = 1000; }), "");
}

TEST(Problems, CriticalOnesComeFirst) {
  HealthFacts facts = GoodFacts();
  facts.connections = 100;
  facts.stalled_loops = 1;
  const auto problems = FindProblems(facts);
  ASSERT_EQ(problems.size(), 2u);
  EXPECT_TRUE(problems[0].is_critical);
  EXPECT_FALSE(problems[1].is_critical);
}

TEST(Problems, ACertificateThatHasExpiredSaysSo) {
  HealthFacts facts = GoodFacts();
  facts.certificate_expires_s = facts.now_s - 1;
  ASSERT_EQ(FindProblems(facts).size(), 1u);
  EXPECT_TRUE(FindProblems(facts)[0].is_critical);
  EXPECT_NE(FindProblems(facts)[0].what.find("has expired"), std::string::npos);
  facts.certificate_expires_s = facts.now_s + 10 * 86400;
  EXPECT_FALSE(FindProblems(facts)[0].is_critical);
  facts.certificate_expires_s = facts.now_s + 30 * 86400;
  EXPECT_TRUE(FindProblems(facts).empty());
}

}  // namespace
}  // namespace oasync
