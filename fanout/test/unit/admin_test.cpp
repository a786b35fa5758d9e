// What operators ask, without a socket and a database: who may, what is wrong, sessions and topics from the loops.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <future>
#include <set>
#include <sstream>

#include "admin/access.h"
#include "admin/database_glance.h"
#include "admin/problems.h"
#include "admin/recent.h"
#include "admin/views.h"
#include "fakes.h"

namespace oasync {
namespace {

// -- who may

TEST(AdminAccess, TakesKeysThatMayObserve) {
  const std::string observer(32, 'o');
  const std::string revoker(32, 'r');
  std::string error;
  auto keys = ServiceKeys::Parse(Json{{"keys",
                                       {{{"id", "o"}, {"secret", observer}, {"may", {"observe"}}},
                                        {{"id", "r"}, {"secret", revoker}, {"may", {"revoke"}}}}}}
                                     .dump(),
                                 &error);
  ASSERT_TRUE(keys) << error;
  FakeClock clock;
  SharedCounters counters;
  const IdentityCheck identity({std::make_shared<Current<ServiceKeys>>(std::make_shared<ServiceKeys>(*keys)), {}, {}});
  const AdminAccess access({identity, clock, counters});
  const auto ask = [&](const std::string& authorization) {
    HttpRequest request;
    request.authorization = authorization;
    const auto refusal = access.Refuse(request);
    return refusal ? refusal->status : 200;
  };
  EXPECT_EQ(ask("Bearer " + observer), 200);
  EXPECT_EQ(ask("Bearer " + revoker), 403);
  EXPECT_EQ(ask("Bearer " + std::string(32, 'x')), 401);
  EXPECT_EQ(ask(""), 401);
  EXPECT_EQ(counters.denials.Read().at("key_may_not"), 1u);
  const IdentityCheck nobody(IdentityCheck::Options{});
  EXPECT_EQ(AdminAccess({nobody, clock, counters}).Refuse({})->status, 503);
}

TEST(ServiceKeys, RefuseRightsThatDoNotExist) {
  std::string error;
  EXPECT_FALSE(ServiceKeys::Parse(
      Json{{"keys", {{{"id", "a"}, {"secret", std::string(32, 'a')}, {"may", {"observer"}}}}}}.dump(), &error));
  EXPECT_NE(error.find(R"("observe")"), std::string::npos);
}

// -- what is wrong

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

// Answers when the test says so.
class WaitingParity final : public ParityDatabase {
 public:
  void ReadParity(DocumentCallback done) override { asked.push_back(std::move(done)); }
  void Answer(const char* sqlstate, std::string body) {
    DocumentAnswer answer;
    answer.sqlstate = sqlstate;
    if (*sqlstate != '\0') answer.error = "refused";
    answer.body = std::move(body);
    const DocumentCallback done = std::move(asked.back());
    asked.pop_back();
    done(std::move(answer));
  }
  std::vector<DocumentCallback> asked;
};

TEST(ParityWatch, AsksEveryNowAndThenAndLetsAgesGoOn) {
  FakeClock clock;
  WaitingParity database;
  ParityWatch watch(database, clock);
  watch.Tick();
  watch.Tick();
  ASSERT_EQ(database.asked.size(), 1u);
  EXPECT_TRUE(watch.Lanes().empty());
  database.Answer("", R"([{"lane":"runs","enabled":true,"max_rate":0.01,"max_age_s":300,"enabled_s":7,"audit_age_s":2.5,
    "checked":100,"mismatched":3,"totals":{"none":97,"missing":3}},{"lane":"new","audit_age_s":null}])");
  clock.steady_ms += 1000;
  watch.Tick();
  EXPECT_TRUE(database.asked.empty());
  const auto lanes = watch.Lanes();
  ASSERT_EQ(lanes.size(), 2u);
  EXPECT_EQ(lanes[0].name, "runs");
  EXPECT_EQ(lanes[0].audit_age_s, 3.5);
  EXPECT_EQ(lanes[0].enabled_s, 8);
  EXPECT_EQ(lanes[0].totals, (std::array<double, 5>{97, 0, 0, 0, 3}));
  EXPECT_EQ(lanes[1].audit_age_s, -1);
  clock.steady_ms += ParityWatch::kEveryMs;
  watch.Tick();
  ASSERT_EQ(database.asked.size(), 1u);
  database.Answer("08006", "");  // it is away: what it said last stands
  EXPECT_EQ(watch.Lanes().size(), 2u);
  clock.steady_ms += ParityWatch::kEveryMs;
  watch.Tick();
  database.Answer("42883", "");  // an extension before 0.5.0
  EXPECT_TRUE(watch.Lanes().empty());
  clock.steady_ms += ParityWatch::kEveryMs;
  watch.Tick();
  EXPECT_TRUE(database.asked.empty());
  clock.steady_ms += ParityWatch::kAfterRefusalMs;
  watch.Tick();
  EXPECT_EQ(database.asked.size(), 1u);
}

TEST(ParityWatch, TakesNoMoreLanesThanItShowsAndNoNonsense) {
  std::string many = "[";
  for (int i = 0; i < 100; ++i) many += (i > 0 ? "," : "") + std::string(R"({"lane":"l)") + std::to_string(i) + R"("})";
  EXPECT_EQ(ParseParityLanes(many + "]").size(), ParityWatch::kMaxLanes);
  for (const char* body : {"", "{}", "[1]", R"([{"lane":1}])", "[", R"({"lane":"x"})"}) {
    EXPECT_TRUE(ParseParityLanes(body).empty()) << body;
  }
  const auto odd = ParseParityLanes(R"([{"lane":"x","enabled":"yes","totals":[1],"checked":"many","audit_age_s":{}}])");
  ASSERT_EQ(odd.size(), 1u);
  EXPECT_FALSE(odd[0].enabled);
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

// -- what was counted lately

TEST(RecentMeter, SpeaksOfTheLastFiveMinutes) {
  RecentCounts now{};
  RecentMeter meter([&] { return now; });
  int64_t& slow = now[static_cast<size_t>(Recent::kSlowClosed)];
  const auto read = [&] { return meter.Read()[static_cast<size_t>(Recent::kSlowClosed)]; };
  slow = 5;
  EXPECT_EQ(read(), 5);  // since the start
  meter.Tick(0);
  EXPECT_EQ(read(), 0);
  slow = 7;
  for (int64_t ms = 0; ms < RecentMeter::kSampleMs * static_cast<int64_t>(RecentMeter::kSamples); ms += 100) {
    meter.Tick(ms);
  }
  EXPECT_EQ(read(), 2);
  meter.Tick(RecentMeter::kSampleMs * static_cast<int64_t>(RecentMeter::kSamples));
  EXPECT_EQ(read(), 0);
}

TEST(LoopLoad, IsTheShareOfTheLastSecond) {
  std::vector<int64_t> busy{0, 0};
  LoopLoad load([&] { return busy; });
  EXPECT_TRUE(load.Read().empty());
  load.Tick(10000);
  busy = {500000, 5000000};
  load.Tick(10500);  // too soon
  load.Tick(11000);
  EXPECT_EQ(load.Read(), (std::vector<double>{0.5, 1.0}));
}

// -- the database

// Keeps what it is asked until the test answers.
class WaitingDatabase final : public OperatorDatabase {
 public:
  void ReadOverview(DocumentCallback done) override { overviews.push_back(std::move(done)); }
  void ReadTopics(TopicsQuestion question, DocumentCallback done) override {
    topics.push_back(std::move(question));
    answers.push_back(std::move(done));
  }
  void ReadEvents(EventsQuestion question, DocumentCallback done) override {
    events.push_back(std::move(question));
    answers.push_back(std::move(done));
  }
  static DocumentAnswer Body(std::string body) {
    DocumentAnswer answer;
    answer.body = std::move(body);
    return answer;
  }
  std::vector<DocumentCallback> overviews;
  std::vector<TopicsQuestion> topics;
  std::vector<EventsQuestion> events;
  std::vector<DocumentCallback> answers;
};

TEST(DatabaseGlance, AsksOnceForAllWhoWaitAndOnceASecond) {
  FakeClock clock;
  WaitingDatabase database;
  DatabaseGlance glance(database, clock);
  int answered = 0;
  const auto get = [&] { glance.Get([&](const GlanceRef& seen) { answered += seen->reachable ? 1 : 100; }); };
  get();
  get();
  ASSERT_EQ(database.overviews.size(), 1u);
  clock.steady_ms += 100;
  const Json overview = {{"clock", clock.wall_ms + 3000}, {"stats", {{"voids_pending", 2}}}};
  database.overviews[0](WaitingDatabase::Body(overview.dump()));
  EXPECT_EQ(answered, 2);
  EXPECT_EQ(glance.last()->clock_ahead_ms, 3050);  // as of the middle of the question
  EXPECT_EQ(glance.last()->voids_pending_ms, 0);
  get();
  EXPECT_EQ(answered, 3);
  EXPECT_EQ(database.overviews.size(), 1u);
  clock.steady_ms += DatabaseGlance::kFreshMs;
  get();
  ASSERT_EQ(database.overviews.size(), 2u);
  database.overviews[1](WaitingDatabase::Body(overview.dump()));
  EXPECT_EQ(glance.last()->voids_pending_ms, DatabaseGlance::kFreshMs);
}

TEST(DatabaseGlance, GivesUpADatabaseThatDoesNotAnswer) {
  FakeClock clock;
  WaitingDatabase database;
  DatabaseGlance glance(database, clock);
  std::vector<bool> seen;
  glance.Get([&](const GlanceRef& look) { seen.push_back(look->reachable); });
  glance.Tick();
  EXPECT_TRUE(seen.empty());
  clock.steady_ms += DatabaseGlance::kPatienceMs;
  glance.Tick();
  EXPECT_EQ(seen, std::vector<bool>{false});
  // The late answer is for those who come after.
  database.overviews[0](WaitingDatabase::Body("{}"));
  glance.Get([&](const GlanceRef& look) { seen.push_back(look->reachable); });
  EXPECT_EQ(seen, (std::vector<bool>{false, true}));
  clock.steady_ms += DatabaseGlance::kFreshMs;
  glance.Get([&](const GlanceRef& look) { seen.push_back(look->reachable); });
  DocumentAnswer failed;
  failed.error = "no route";
  database.overviews[1](failed);
  EXPECT_EQ(seen, (std::vector<bool>{false, true, false}));
}

// -- sessions and topics of the loops

// Two loops whose tasks run when the test says so.
struct ViewsFixture {
  HubFixture hubs[2];
  WaitingDatabase database;
  Deadlines deadlines;
  WorkerThread worker;
  std::vector<std::function<void()>> posted;
  LoopAccess loops{[this](const std::function<void(Hub&, size_t)>& task) {
                     for (size_t i = 0; i < 2; ++i) posted.push_back([this, task, i] { task(hubs[i].hub, i); });
                     return size_t{2};
                   },
                   deadlines, hubs[0].clock};
  AdminViews views{{database, loops, worker}, {}};

  void RunLoops() {
    for (auto& task : std::exchange(posted, {})) task();
  }
  using View = void (AdminViews::*)(const HttpRequest&, HttpReply) const;
  // A question; its answer comes by the future.
  std::future<HttpAnswer> Ask(View view, std::vector<std::pair<std::string, std::string>> query) {
    HttpRequest request;
    request.query = std::move(query);
    const auto promise = std::make_shared<std::promise<HttpAnswer>>();
    (views.*view)(request, [promise](HttpAnswer answer) { promise->set_value(std::move(answer)); });
    return promise->get_future();
  }
  int Status(View view, std::vector<std::pair<std::string, std::string>> query) {
    auto answer = Ask(view, std::move(query));
    if (answer.wait_for(std::chrono::seconds(0)) != std::future_status::ready) return 0;  // it was taken up
    return answer.get().status;
  }
};

TEST(AdminViews, SessionsOfAllLoopsTogether) {
  ViewsFixture fixture;
  HubFixture& first = fixture.hubs[0];
  HubFixture& second = fixture.hubs[1];
  first.source.Fill("t", 5);
  const auto a = first.Connect();
  const auto b = first.Connect();
  const auto silent = first.Connect();
  const auto c = second.Connect();
  first.Following("t", 5);
  first.Join(*a, {{"topics", {"t"}}, {"client", "desk"}, {"client_build_id", std::string(70, 'b')}});
  first.Join(*b);
  second.Join(*c, {{"topics", {"t", "u"}}, {"encoding", "proto"}});
  auto answer = fixture.Ask(&AdminViews::Sessions, {});
  fixture.RunLoops();
  Json body = Json::parse(answer.get().body);
  EXPECT_EQ(body["total"], 3);
  EXPECT_EQ(body["truncated"], false);
  ASSERT_EQ(body["sessions"].size(), 3u);
  const Json& desk = body["sessions"][0];
  EXPECT_EQ(desk["client"], "desk");
  EXPECT_EQ(desk["client_build_id"], std::string(64, 'b'));
  EXPECT_EQ(desk["status"], "catching_up");  // nothing was taken from it yet
  EXPECT_EQ(desk["lag_events_max"], 5);
  EXPECT_EQ(desk["loop"], 0);
  EXPECT_EQ(body["sessions"][1]["client"], nullptr);
  EXPECT_EQ(body["sessions"][2]["encoding"], "proto");
  EXPECT_EQ(body["sessions"][2]["loop"], 1);
  first.TakeAll(*a);
  answer = fixture.Ask(&AdminViews::Sessions, {{"topic", "t"}, {"limit", "1"}});
  fixture.RunLoops();
  body = Json::parse(answer.get().body);
  EXPECT_EQ(body["total"], 2);
  EXPECT_EQ(body["truncated"], true);
  EXPECT_EQ(body["sessions"][0]["status"], "live");
  answer = fixture.Ask(&AdminViews::Sessions, {{"subject", "nobody"}});
  fixture.RunLoops();
  EXPECT_EQ(Json::parse(answer.get().body)["total"], 0);
  EXPECT_EQ(first.counters.joined.Get(), 2);
  EXPECT_EQ(fixture.Status(&AdminViews::Sessions, {{"topic", "no topic"}}), 400);
  EXPECT_EQ(fixture.Status(&AdminViews::Sessions, {{"limit", "0"}}), 400);
}

TEST(AdminViews, ManyTopicsOfASessionAreCutToThoseFurthestBehind) {
  HubFixture hub;
  std::vector<std::string> topics;
  for (size_t i = 0; i < 2 * kSurveyedTopics; ++i) {
    topics.push_back("t" + std::to_string(i));
    hub.source.Fill(topics.back(), i);
    hub.Following(topics.back(), i);
  }
  const auto client = hub.Connect();
  hub.Join(*client, {{"topics", topics}});
  const SurveyedSession session = client->session->Describe();
  EXPECT_EQ(session.topics_total, topics.size());
  ASSERT_EQ(session.topics.size(), kSurveyedTopics);
  EXPECT_EQ(session.lag_events_max, topics.size() - 1);
  EXPECT_EQ(session.topics.front().topic, topics.back());
}

TEST(AdminViews, ALoopThatIsLateIsLeftOut) {
  ViewsFixture fixture;
  const auto client = fixture.hubs[0].Connect();
  fixture.hubs[0].Join(*client);
  auto answer = fixture.Ask(&AdminViews::Sessions, {});
  fixture.posted[0]();  // the second one hangs
  fixture.deadlines.Tick(fixture.hubs[0].clock.steady_ms);
  EXPECT_NE(answer.wait_for(std::chrono::seconds(0)), std::future_status::ready);
  fixture.deadlines.Tick(fixture.hubs[0].clock.steady_ms + kLoopPatienceMs);
  const Json body = Json::parse(answer.get().body);
  EXPECT_EQ(body["total"], 1);
  EXPECT_EQ(body["truncated"], true);
  fixture.posted[1]();  // too late: for nobody
}

TEST(AdminViews, TopicsHaveTheSubscribersOfAllLoops) {
  ViewsFixture fixture;
  std::vector<std::unique_ptr<FakeSocket>> clients;
  for (HubFixture& hub : fixture.hubs) {
    clients.push_back(hub.Connect());
    hub.Join(*clients.back(), {{"topics", {"b"}}});
  }
  auto answer = fixture.Ask(&AdminViews::Topics, {{"prefix", "x"}, {"after", "xy"}, {"limit", "2"}});
  ASSERT_EQ(fixture.database.topics.size(), 1u);
  EXPECT_EQ(fixture.database.topics[0].prefix, "x");
  EXPECT_EQ(fixture.database.topics[0].after, "xy");
  EXPECT_EQ(fixture.database.topics[0].max_topics, 2u);
  fixture.database.answers[0](WaitingDatabase::Body(R"({"topics":[{"topic":"a"},{"topic":"b"}]})"));
  fixture.RunLoops();
  const Json body = Json::parse(answer.get().body);
  EXPECT_EQ(body["topics"][0]["subscribers"], 0);
  EXPECT_EQ(body["topics"][1]["subscribers"], 2);
  EXPECT_EQ(body["next_after"], "b");
  EXPECT_EQ(body["total"], nullptr);
  answer = fixture.Ask(&AdminViews::Topics, {});
  EXPECT_EQ(fixture.database.topics[1].max_topics, kDefaultPage);
  fixture.database.answers[1](WaitingDatabase::Body(R"({"topics":[{"topic":"a"}]})"));
  fixture.RunLoops();
  const Json whole = Json::parse(answer.get().body);
  EXPECT_EQ(whole["next_after"], nullptr);
  EXPECT_EQ(whole["total"], 1);
}

TEST(AdminViews, EventsAreServedAsTheyCome) {
  ViewsFixture fixture;
  auto answer = fixture.Ask(&AdminViews::Events, {{"topic", "t"}, {"before", "7"}, {"limit", "99999"}});
  ASSERT_EQ(fixture.database.events.size(), 1u);
  EXPECT_EQ(fixture.database.events[0].before, 7u);
  EXPECT_EQ(fixture.database.events[0].max_events, AdminLimits().events);
  EXPECT_FALSE(fixture.database.events[0].doc_key);
  constexpr char kBody[] = R"({"events":[{"payload":1.000000000000000000001}]})";
  fixture.database.answers[0](WaitingDatabase::Body(kBody));
  EXPECT_EQ(answer.get().body, kBody);
  answer = fixture.Ask(&AdminViews::History, {{"topic", "t"}, {"doc_key", "k"}});
  EXPECT_EQ(fixture.database.events[1].doc_key, "k");
  DocumentAnswer failed;
  failed.error = "function does not exist";
  failed.sqlstate = "42883";
  fixture.database.answers[1](failed);
  const HttpAnswer refused = answer.get();
  EXPECT_EQ(refused.status, 501);
  EXPECT_NE(refused.body.find("ALTER EXTENSION"), std::string::npos);
}

TEST(AdminViews, RefuseWhatCannotBeMeant) {
  ViewsFixture fixture;
  const std::string too_long(161, 'a');
  EXPECT_EQ(fixture.Status(&AdminViews::Topics, {{"prefix", "a b"}}), 400);
  EXPECT_EQ(fixture.Status(&AdminViews::Topics, {{"after", too_long}}), 400);
  EXPECT_EQ(fixture.Status(&AdminViews::Topics, {{"order", "lag"}}), 400);
  EXPECT_EQ(fixture.Status(&AdminViews::Topics, {{"limit", "-1"}}), 400);
  EXPECT_EQ(fixture.Status(&AdminViews::Topics, {{"limit", ""}}), 400);
  EXPECT_EQ(fixture.Status(&AdminViews::Events, {}), 400);
  EXPECT_EQ(fixture.Status(&AdminViews::Events, {{"topic", "t"}, {"before", "0"}}), 400);
  EXPECT_EQ(fixture.Status(&AdminViews::Events, {{"topic", "t"}, {"before", "1x"}}), 400);
  EXPECT_EQ(fixture.Status(&AdminViews::History, {{"topic", "t"}}), 400);
  EXPECT_EQ(fixture.Status(&AdminViews::History, {{"topic", "t"}, {"doc_key", std::string("a\0b", 3)}}), 400);
  EXPECT_EQ(fixture.Status(&AdminViews::History, {{"topic", "t"}, {"doc_key", "\xff"}}), 400);
  EXPECT_TRUE(fixture.database.answers.empty());
}

}  // namespace
}  // namespace oasync
