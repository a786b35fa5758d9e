// Delivery: replay, the joint with the live window, sharing, fairness and voids.
#include <gtest/gtest.h>

#include <set>

#include "fakes.h"
#include "follower.h"

namespace oasync {
namespace {

Json From(uint64_t watermark) { return {{"topics", {"t"}}, {"resume_after", {{"t", watermark}}}}; }

TEST(Delivery, ReplaysTheJournalThenGoesLive) {
  HubFixture hub;
  hub.source.Fill("t", 2500);
  const auto client = hub.Connect();
  hub.Join(*client, Topics({"t"}));
  Follower follower;
  follower.Take(hub.TakeAll(*client));
  EXPECT_EQ(follower.watermarks.size(), 2500u);
  EXPECT_TRUE(follower.complete);
  EXPECT_EQ(hub.source.reads.size(), 3u);
  hub.Following("t", 2500);
  for (int i = 0; i < 10; ++i) hub.Live("t");
  follower.Take(hub.TakeAll(*client));
  EXPECT_EQ(follower.cursor, 2510u);
  EXPECT_EQ(hub.source.reads.size(), 3u);
}

TEST(Delivery, ReplayIsCompleteOnlyAtTheHead) {
  HubFixture hub;
  hub.source.Fill("t", 450);
  const auto client = hub.Connect();
  hub.Join(*client, Topics({"t"}));
  std::vector<bool> complete;
  for (const Json& message : hub.TakeAll(*client)) complete.push_back(message[4]["replay_complete"]);
  EXPECT_EQ(complete, (std::vector<bool>{false, false, true}));
}

// The tail may start anywhere relative to the replay: before it, in the middle, and after what the heads said.
TEST(Delivery, JoinsTheWindowWithoutGapOrRepeat) {
  for (const uint64_t tail_start : {0u, 1u, 150u, 299u, 300u}) {
    for (const size_t before : {0u, 1u, 2u, 5u}) {
      HubFixture hub;
      hub.source.Fill("t", 300);
      const auto client = hub.Connect();
      hub.Join(*client, Topics({"t"}));
      Follower follower;
      for (size_t i = 0; i < before; ++i) {
        if (auto message = hub.Next(*client)) follower.Take({*message});
        hub.Settle();
      }
      hub.Following("t", tail_start);
      std::vector<EventRef> events(hub.source.journal["t"].begin() + static_cast<ptrdiff_t>(tail_start),
                                   hub.source.journal["t"].end());
      if (!events.empty()) hub.hub.OnEvents(events);
      hub.Live("t");
      follower.Take(hub.TakeAll(*client));
      hub.Live("t");
      follower.Take(hub.TakeAll(*client));
      EXPECT_EQ(follower.watermarks.size(), 302u) << tail_start << " " << before;
      EXPECT_EQ(follower.cursor, 302u);
    }
  }
}

TEST(Delivery, ASlowClientFallsBackToTheJournalAndCatchesUp) {
  HubOptions options;
  options.window_events = 50;
  HubFixture hub(options);
  const auto slow = hub.Connect();
  const auto quick = hub.Connect();
  hub.Join(*slow, Topics({"t"}));
  hub.Join(*quick, Topics({"t"}));
  hub.Following("t", 0);
  Follower quick_follower;
  for (int i = 0; i < 500; ++i) {
    hub.Live("t");
    quick_follower.Take(hub.TakeAll(*quick));
  }
  EXPECT_EQ(quick_follower.watermarks.size(), 500u);
  EXPECT_TRUE(hub.source.reads.empty());
  EXPECT_EQ(hub.counters.window_events.Get(), 50);
  Follower slow_follower;
  slow_follower.Take(hub.TakeAll(*slow));
  EXPECT_EQ(slow_follower.watermarks.size(), 500u);
  EXPECT_FALSE(hub.source.reads.empty());
}

TEST(Delivery, CaughtUpSubscribersShareOneFrame) {
  HubFixture hub;
  std::vector<std::unique_ptr<FakeSocket>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(hub.Connect());
    hub.Join(*clients.back(), Topics({"t"}));
  }
  hub.Following("t", 0);
  hub.Live("t");
  std::set<const Frame*> frames;
  for (const auto& client : clients) frames.insert(client->session->NextFrame().get());
  EXPECT_EQ(frames.size(), 1u);
  EXPECT_EQ(hub.counters.frames_encoded.Get(), 1);
}

TEST(Delivery, ReplayersAtOnePlaceShareOneReadAndItsFrames) {
  HubFixture hub;
  hub.source.Fill("t", 1000);
  std::vector<std::unique_ptr<FakeSocket>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(hub.Connect());
    hub.Join(*clients.back(), Topics({"t"}));
  }
  for (const auto& client : clients) EXPECT_FALSE(client->session->NextFrame());  // starts the reads
  EXPECT_EQ(hub.source.reads.size(), 1u);
  hub.Settle();
  std::vector<Follower> followers(clients.size());
  for (int round = 0; round < 6; ++round) {
    for (size_t i = 0; i < clients.size(); ++i) {
      if (auto message = hub.Next(*clients[i])) followers[i].Take({*message});
    }
  }
  for (const auto& follower : followers) EXPECT_EQ(follower.cursor, 1000u);
  EXPECT_EQ(hub.counters.frames_encoded.Get(), 5);
}

TEST(Delivery, TheClientsBatchSizeOnlyLowersTheLimit) {
  HubFixture hub;
  hub.source.Fill("t", 450);
  for (const auto& [asked, got] : {std::pair{50, 50u}, std::pair{100000, 200u}}) {
    const auto client = hub.Connect();
    Json params = Topics({"t"});
    params["replay_batch_size"] = asked;
    hub.Join(*client, params);
    EXPECT_EQ(hub.TakeAll(*client)[0][4]["updates"].size(), got);
  }
}

TEST(Delivery, VoidsAreCoveredAndNeverSent) {
  HubFixture hub;
  const auto client = hub.Connect();
  hub.Join(*client, Topics({"t"}));
  hub.Following("t", 0);
  Follower follower;
  const auto live = [&](Op op) { hub.Live("t", R"({"a":1})", op); };
  live(Op::kVoid);
  follower.Take(hub.TakeAll(*client));
  EXPECT_EQ(follower.cursor, 0u);  // nothing but voids: nothing is sent
  live(Op::kVoid);
  live(Op::kUpsert);
  live(Op::kVoid);
  follower.Take(hub.TakeAll(*client));
  EXPECT_EQ(follower.cursor, 4u);
  live(Op::kVoid);
  follower.Take(hub.TakeAll(*client));
  EXPECT_EQ(follower.cursor, 4u);
  // Past the last event there is nothing to be behind of.
  hub.Send(*client, "5", "sync:heartbeat", Json::object());
  hub.Next(*client);
  EXPECT_EQ((*hub.Next(*client))[4]["watermarks"][0]["head_watermark"], 4);
  live(Op::kUpsert);
  follower.Take(hub.TakeAll(*client));
  EXPECT_EQ(follower.cursor, 6u);
  EXPECT_EQ(follower.watermarks, (std::vector<uint64_t>{3, 6}));
}

TEST(Delivery, AJournalFullOfVoidsIsPassed) {
  HubFixture hub;
  for (int i = 0; i < 3000; ++i) hub.source.Append("t", {}, Op::kVoid);
  hub.source.Append("t");
  const auto client = hub.Connect();
  hub.Join(*client, Topics({"t"}));
  const auto messages = hub.TakeAll(*client);
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0][4]["after_watermark"], 0);
  EXPECT_EQ(messages[0][4]["through_watermark"], 3001);
}

TEST(Delivery, AQuietTopicIsNotBehindABusyOnesBacklog) {
  HubFixture hub;
  hub.source.Fill("busy", 10000);
  hub.source.Fill("quiet", 1);
  const auto client = hub.Connect();
  hub.Join(*client, Topics({"busy", "quiet"}));
  std::vector<std::string> order;
  for (int i = 0; i < 10; ++i) {
    if (auto message = hub.Next(*client)) order.push_back((*message)[4]["updates"][0]["topic"]);
    hub.Settle();
  }
  const auto quiet = std::find(order.begin(), order.end(), "quiet");
  ASSERT_NE(quiet, order.end());
  EXPECT_LE(quiet - order.begin(), 2);
}

TEST(Delivery, ManyBacklogsTakeTurnsWithFewReadsAtATime) {
  HubFixture hub;
  std::vector<std::string> topics;
  for (int i = 0; i < 20; ++i) {
    topics.push_back("t" + std::to_string(i));
    hub.source.Fill(topics.back(), 3000);
  }
  const auto client = hub.Connect();
  hub.Join(*client, Topics(topics));
  std::map<std::string, Follower> followers;
  size_t most_in_flight = 0;
  uint64_t least_when_first_done = 3000;
  for (bool first_done = false; client->session->HasFrames();) {
    if (auto message = hub.Next(*client)) {
      const std::string topic = (*message)[4]["updates"][0]["topic"];
      followers[topic].Take({*message}, topic);
      if (!first_done && followers[topic].cursor == 3000) {
        first_done = true;
        for (const auto& name : topics) least_when_first_done = std::min(least_when_first_done, followers[name].cursor);
      }
    }
    most_in_flight = std::max(most_in_flight, hub.source.answers.size());
    hub.Settle();
  }
  for (const auto& topic : topics) EXPECT_EQ(followers[topic].cursor, 3000u) << topic;
  EXPECT_LE(most_in_flight, 2u);
  EXPECT_GE(least_when_first_done, 1000u);  // nobody waits until another is through
}

TEST(Delivery, ATopicLingersForThoseWhoComeBack) {
  HubFixture hub;
  auto client = hub.Connect();
  hub.Join(*client, Topics({"t"}));
  hub.Following("t", 0);
  for (int i = 0; i < 5; ++i) hub.Live("t");
  client.reset();
  hub.hub.Tick();
  EXPECT_TRUE(hub.source.unfollowed.empty());
  hub.Live("t");
  client = hub.Connect();
  hub.Join(*client, From(3));
  Follower follower{3, {}, false};
  follower.Take(hub.TakeAll(*client));
  EXPECT_EQ(follower.cursor, 6u);
  EXPECT_TRUE(hub.source.reads.empty());
  client.reset();
  hub.clock.Advance(60000);
  hub.hub.Tick();
  EXPECT_EQ(hub.source.unfollowed, std::vector<std::string>{"t"});
  EXPECT_EQ(hub.counters.topics.Get(), 0);
  EXPECT_EQ(hub.counters.window_events.Get(), 0);
}

TEST(Delivery, ATopicThatARequestWaitsForIsKept) {
  HubFixture hub;
  const auto client = hub.Connect();
  hub.Send(*client, "1", "phx_join", Topics({"t"}));
  hub.clock.Advance(60000);  // the database takes its time
  hub.hub.Tick();
  hub.Settle();
  hub.Following("t", 0);
  hub.Live("t");
  Follower follower;
  follower.Take(hub.TakeAll(*client));
  EXPECT_EQ(follower.cursor, 1u);
}

TEST(Delivery, WindowsAreBoundedInBytes) {
  HubOptions options;
  options.window_bytes = 100000;
  HubFixture hub(options);
  const auto client = hub.Connect();
  hub.Join(*client, Topics({"t"}));
  hub.Following("t", 0);
  for (int i = 0; i < 100; ++i) hub.Live("t", "\"" + std::string(5000, 'x') + "\"");
  EXPECT_LE(hub.counters.window_bytes.Get(), 100000);
  EXPECT_GT(hub.counters.window_events.Get(), 2);
  Follower follower;
  follower.Take(hub.TakeAll(*client));
  EXPECT_EQ(follower.watermarks.size(), 100u);
}

TEST(Delivery, ProtoClientsGetBinaryFrames) {
  HubFixture hub;
  const auto client = hub.Connect();
  Json params = Topics({"t"});
  params["encoding"] = "proto";
  EXPECT_EQ(hub.Join(*client, params)["status"], "ok");
  hub.Following("t", 0);
  hub.Live("t");
  const FrameRef frame = client->session->NextFrame();
  ASSERT_TRUE(frame);
  EXPECT_TRUE(frame->binary());
}

}  // namespace
}  // namespace oasync
