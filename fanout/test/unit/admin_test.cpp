// What operators ask, without a socket and a database: who may, what was counted, sessions and topics from the loops.
#include <gtest/gtest.h>

#include <future>

#include "admin/access.h"
#include "admin/database_glance.h"
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
