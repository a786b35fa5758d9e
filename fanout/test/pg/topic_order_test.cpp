#include "pg/topic_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <random>
#include <string>
#include <vector>

namespace oasync::pg {
namespace {

EventRef MakeEvent(const std::string& topic, uint64_t watermark, size_t bytes = 0) {
  auto event = std::make_shared<Event>();
  event->topic = topic;
  event->watermark = watermark;
  event->epoch = 1;
  event->json.assign(bytes, 'x');
  return event;
}

class TopicOrderTest : public testing::Test {
 protected:
  std::vector<uint64_t> Taken() {
    std::vector<uint64_t> watermarks;
    for (const auto& event : out_) watermarks.push_back(event->watermark);
    out_.clear();
    return watermarks;
  }
  bool Offer(TopicOrder& order, TopicId id, uint64_t watermark) {
    return order.Offer(id, MakeEvent(order.name(id), watermark), now_, &out_);
  }
  std::vector<TopicId> Due(TopicOrder& order, size_t max = 100) {
    std::vector<TopicId> due;
    order.TakeDueGaps(now_, max, &due);
    return due;
  }
  TopicId Begun(TopicOrder& order, const std::string& topic, uint64_t head) {
    const TopicId id = order.Follow(topic);
    order.Begin(id, head, now_, &out_);
    return id;
  }

  TimePoint now_ = TimePoint{} + std::chrono::hours(1);
  std::vector<EventRef> out_;
};

using Watermarks = std::vector<uint64_t>;

TEST_F(TopicOrderTest, InOrderGoesStraightThrough) {
  TopicOrder order({});
  const TopicId id = Begun(order, "t", 5);
  EXPECT_TRUE(Offer(order, id, 6));
  EXPECT_TRUE(Offer(order, id, 7));
  EXPECT_EQ(Taken(), (Watermarks{6, 7}));
  EXPECT_EQ(order.delivered(id), 7u);
  EXPECT_EQ(order.NextGap(), TimePoint::max());
}

TEST_F(TopicOrderTest, EarlyOnesWaitForTheMissingOne) {
  TopicOrder order({});
  const TopicId id = Begun(order, "t", 0);
  EXPECT_TRUE(Offer(order, id, 3));
  EXPECT_TRUE(Offer(order, id, 2));
  EXPECT_EQ(Taken(), Watermarks{});
  EXPECT_EQ(order.held_events(), 2u);
  EXPECT_TRUE(Offer(order, id, 1));
  EXPECT_EQ(Taken(), (Watermarks{1, 2, 3}));
  EXPECT_EQ(order.held_events(), 0u);
  EXPECT_EQ(order.held_bytes(), 0u);
}

TEST_F(TopicOrderTest, RepeatsAreDropped) {
  TopicOrder order({});
  const TopicId id = Begun(order, "t", 4);
  EXPECT_FALSE(Offer(order, id, 4));
  EXPECT_FALSE(Offer(order, id, 1));
  EXPECT_TRUE(Offer(order, id, 6));
  EXPECT_FALSE(Offer(order, id, 6));
  EXPECT_FALSE(order.Wants(id, 6));
  EXPECT_TRUE(order.Wants(id, 5));
  EXPECT_TRUE(Offer(order, id, 5));
  EXPECT_FALSE(Offer(order, id, 5));
  EXPECT_EQ(Taken(), (Watermarks{5, 6}));
}

TEST_F(TopicOrderTest, EventsBeforeTheHeadIsKnownAreHeld) {
  TopicOrder order({});
  const TopicId id = order.Follow("t");
  for (const uint64_t w : {8, 9, 10, 11}) EXPECT_TRUE(Offer(order, id, w));
  EXPECT_EQ(Taken(), Watermarks{});
  EXPECT_EQ(Due(order).size(), 0u);
  order.Begin(id, 9, now_, &out_);
  EXPECT_EQ(Taken(), (Watermarks{10, 11}));
  EXPECT_EQ(order.held_events(), 0u);
}

TEST_F(TopicOrderTest, HeadBelowTheHeldOnesLeavesAGap) {
  TopicOrder order({});
  const TopicId id = order.Follow("t");
  Offer(order, id, 12);
  order.Begin(id, 9, now_, &out_);
  EXPECT_EQ(Taken(), Watermarks{});
  EXPECT_TRUE(order.behind(id));
  now_ += Millis(100);
  EXPECT_EQ(Due(order), std::vector<TopicId>{id});
}

TEST_F(TopicOrderTest, GapIsDueAfterItsWaitAndAgainAfterGrowingPauses) {
  TopicOrderLimits limits;
  limits.gap_wait = Millis(100);
  limits.gap_retry_max = Millis(300);
  TopicOrder order(limits);
  const TopicId id = Begun(order, "t", 0);
  Offer(order, id, 2);
  EXPECT_EQ(order.NextGap(), now_ + Millis(100));
  now_ += Millis(99);
  EXPECT_TRUE(Due(order).empty());
  now_ += Millis(1);
  EXPECT_EQ(Due(order).size(), 1u);
  EXPECT_TRUE(Due(order).empty());
  EXPECT_EQ(order.NextGap(), now_ + Millis(200));
  now_ += Millis(200);
  EXPECT_EQ(Due(order).size(), 1u);
  EXPECT_EQ(order.NextGap(), now_ + Millis(300));
  now_ += Millis(300);
  EXPECT_EQ(Due(order).size(), 1u);
  EXPECT_EQ(order.NextGap(), now_ + Millis(300));
  Offer(order, id, 1);
  now_ += Millis(300);
  EXPECT_TRUE(Due(order).empty());
  EXPECT_EQ(order.NextGap(), TimePoint::max());
}

TEST_F(TopicOrderTest, AYoungerGapGetsItsOwnWait) {
  TopicOrder order({});
  const TopicId id = Begun(order, "t", 0);
  Offer(order, id, 2);  // waits for 1
  now_ += Millis(90);
  Offer(order, id, 4);
  Offer(order, id, 1);  // now it waits for 3, since 90 ms after the start
  now_ += Millis(20);
  EXPECT_TRUE(Due(order).empty());
  EXPECT_LE(order.NextGap(), now_ + Millis(100));
  now_ += Millis(100);
  EXPECT_EQ(Due(order).size(), 1u);
}

TEST_F(TopicOrderTest, AtMostMaxGapsAtATime) {
  TopicOrder order({});
  for (int i = 0; i < 10; ++i) Offer(order, Begun(order, "t" + std::to_string(i), 0), 2);
  now_ += Millis(100);
  EXPECT_EQ(Due(order, 4).size(), 4u);
  EXPECT_EQ(Due(order, 4).size(), 4u);
  EXPECT_EQ(Due(order, 4).size(), 2u);
}

TEST_F(TopicOrderTest, ObserveMakesAGapWithoutAnEvent) {
  TopicOrder order({});
  const TopicId id = Begun(order, "t", 3);
  order.Observe(id, 3, now_);
  EXPECT_FALSE(order.behind(id));
  order.Observe(id, 5, now_);
  now_ += Millis(100);
  EXPECT_EQ(Due(order).size(), 1u);
  Offer(order, id, 4);
  Offer(order, id, 5);
  EXPECT_FALSE(order.behind(id));
  EXPECT_EQ(Taken(), (Watermarks{4, 5}));
}

TEST_F(TopicOrderTest, FullBufferKeepsTheLowestAndRemembersTheRest) {
  TopicOrderLimits limits;
  limits.max_held_events = 3;
  TopicOrder order(limits);
  const TopicId id = Begun(order, "t", 0);
  for (const uint64_t w : {9, 8, 7, 6, 5, 3}) Offer(order, id, w);
  EXPECT_EQ(order.held_events(), 3u);
  Offer(order, id, 1);
  Offer(order, id, 2);
  Offer(order, id, 4);
  EXPECT_EQ(Taken(), (Watermarks{1, 2, 3, 4, 5, 6}));
  EXPECT_TRUE(order.behind(id));  // 7, 8 and 9 have to come from the journal
  for (const uint64_t w : {7, 8, 9}) EXPECT_TRUE(Offer(order, id, w));
  EXPECT_EQ(Taken(), (Watermarks{7, 8, 9}));
  EXPECT_FALSE(order.behind(id));
}

TEST_F(TopicOrderTest, BytesAndTopicsAreBoundedToo) {
  TopicOrderLimits limits;
  limits.max_held_bytes = 10'000;
  limits.max_held_events_of_topic = 5;
  TopicOrder order(limits);
  const TopicId big = Begun(order, "big", 0);
  for (uint64_t w = 2; w < 20; ++w) order.Offer(big, MakeEvent("big", w, 4000), now_, &out_);
  EXPECT_LE(order.held_bytes(), 10'000u);
  EXPECT_EQ(order.held_events(), 2u);
  order.Unfollow(big);
  EXPECT_EQ(order.held_bytes(), 0u);
  const TopicId many = Begun(order, "many", 0);
  for (uint64_t w = 2; w < 20; ++w) Offer(order, many, w);
  EXPECT_EQ(order.held_events(), 5u);
}

TEST_F(TopicOrderTest, ATopicThatIsFullDoesNotStarveAnother) {
  TopicOrderLimits limits;
  limits.max_held_events = 4;
  TopicOrder order(limits);
  const TopicId stuck = Begun(order, "stuck", 0);
  for (uint64_t w = 2; w < 10; ++w) Offer(order, stuck, w);
  const TopicId other = Begun(order, "other", 0);
  Offer(order, other, 2);  // no room
  Offer(order, other, 1);
  EXPECT_EQ(Taken(), (Watermarks{1}));
  EXPECT_TRUE(order.behind(other));
  now_ += Millis(100);
  EXPECT_EQ(Due(order), std::vector<TopicId>{stuck});
  now_ += Millis(100);
  EXPECT_EQ(Due(order), std::vector<TopicId>{other});
}

TEST_F(TopicOrderTest, UnfollowForgets) {
  TopicOrder order({});
  const TopicId id = Begun(order, "t", 0);
  Offer(order, id, 2);
  order.Unfollow(id);
  EXPECT_FALSE(order.Valid(id));
  EXPECT_EQ(order.size(), 0u);
  EXPECT_EQ(order.held_events(), 0u);
  now_ += Millis(1000);
  EXPECT_TRUE(Due(order).empty());
  const TopicId again = order.Follow("t");
  EXPECT_EQ(again.slot, id.slot);
  EXPECT_FALSE(again == id);
  EXPECT_FALSE(order.Valid(id));
  TopicId found;
  EXPECT_TRUE(order.Find("t", &found));
  EXPECT_TRUE(found == again);
  order.Unfollow(id);  // the old following: nothing happens
  EXPECT_TRUE(order.Valid(again));
}

TEST_F(TopicOrderTest, RestartIsAnotherHistory) {
  TopicOrder order({});
  const TopicId id = Begun(order, "t", 100);
  Offer(order, id, 103);
  order.Restart(id);
  EXPECT_TRUE(order.waiting(id));
  EXPECT_EQ(order.held_events(), 0u);
  Offer(order, id, 52);
  order.Begin(id, 51, now_, &out_);
  EXPECT_EQ(Taken(), (Watermarks{52}));
  EXPECT_FALSE(order.behind(id));  // 103 was of the other history
}

TEST_F(TopicOrderTest, HundredThousandTopics) {
  TopicOrder order({});
  std::vector<TopicId> ids;
  ids.reserve(100'000);
  for (int i = 0; i < 100'000; ++i) ids.push_back(Begun(order, "run:" + std::to_string(i) + ":events", 0));
  for (const TopicId id : ids) Offer(order, id, 1);
  EXPECT_EQ(Taken().size(), 100'000u);
  for (const TopicId id : ids) order.Unfollow(id);
  EXPECT_EQ(order.size(), 0u);
  EXPECT_EQ(order.slot_count(), 100'000u);
}

// Events of several topics in random order, with repeats and losses, small buffers, the journal read for due gaps,
// topics unfollowed and followed again: what comes out is exactly head+1, head+2, … of each following.
TEST_F(TopicOrderTest, RandomArrivalsComeOutDense) {
  constexpr uint64_t kEvents = 400;
  constexpr size_t kTopics = 6;
  for (uint32_t seed = 1; seed <= 60; ++seed) {
    std::mt19937 random(seed);
    TopicOrderLimits limits;
    limits.max_held_events = 1 + random() % 60;
    limits.max_held_bytes = 2000 + random() % 20'000;
    limits.max_held_events_of_topic = 1 + random() % 40;
    TopicOrder order(limits);
    std::map<std::string, uint64_t> next;  // expected of each following
    std::vector<std::pair<size_t, uint64_t>> arrivals;
    for (size_t t = 0; t < kTopics; ++t) {
      for (uint64_t w = 1; w <= kEvents; ++w) {
        if (random() % 10 == 0) continue;  // lost
        for (uint32_t n = 0; n < 1 + (random() % 8 == 0 ? 1u : 0u); ++n) arrivals.emplace_back(t, w);
      }
    }
    // Mostly in order, some far away.
    std::vector<std::pair<double, size_t>> keys;
    for (size_t i = 0; i < arrivals.size(); ++i) {
      const double spread = random() % 50 == 0 ? 200 : 5;
      keys.emplace_back(static_cast<double>(arrivals[i].second) + spread * (random() % 1000) / 1000.0, i);
    }
    std::sort(keys.begin(), keys.end());
    const auto name = [](size_t t) { return "topic" + std::to_string(t); };
    const auto check = [&] {
      for (const auto& event : out_) {
        ASSERT_EQ(event->watermark, next.at(event->topic)) << "seed " << seed;
        ++next[event->topic];
      }
      out_.clear();
    };
    const auto follow = [&](size_t t, uint64_t head) {
      const TopicId id = order.Follow(name(t));
      next[name(t)] = head + 1;
      order.Begin(id, head, now_, &out_);
      check();
    };
    const auto read_journal = [&] {
      for (const TopicId id : Due(order)) {
        const uint64_t after = order.delivered(id);
        const uint64_t until = std::min(after + 1 + random() % 20, kEvents);
        for (uint64_t w = after + 1; w <= until; ++w) Offer(order, id, w);
      }
      check();
    };
    for (size_t t = 0; t < kTopics; ++t) follow(t, random() % 3);
    for (const auto& [key, i] : keys) {
      const auto [t, w] = arrivals[i];
      TopicId id;
      ASSERT_TRUE(order.Find(name(t), &id));
      Offer(order, id, w);
      check();
      ASSERT_LE(order.held_events(), limits.max_held_events);
      ASSERT_LE(order.held_bytes(), limits.max_held_bytes);
      now_ += Millis(random() % 5);
      if (random() % 20 == 0) read_journal();
      if (random() % 300 == 0) {
        const uint64_t head = order.delivered(id);
        order.Unfollow(id);
        follow(t, head);
      }
    }
    for (size_t t = 0; t < kTopics; ++t) {
      TopicId id;
      ASSERT_TRUE(order.Find(name(t), &id));
      order.Observe(id, kEvents, now_);
    }
    for (int round = 0; round < 5000 && order.NextGap() != TimePoint::max(); ++round) {
      now_ = std::max(now_, order.NextGap());
      read_journal();
    }
    for (size_t t = 0; t < kTopics; ++t) EXPECT_EQ(next[name(t)], kEvents + 1) << "seed " << seed;
    EXPECT_EQ(order.held_events(), 0u);
    EXPECT_EQ(order.held_bytes(), 0u);
  }
}

}  // namespace
}  // namespace oasync::pg
