// The page cache: sharing, single flight, places inside of pages, memory, and what must not be kept.
#include <gtest/gtest.h>

#include <thread>

#include "fakes.h"
#include "hub/page_cache.h"

namespace oasync {
namespace {

constexpr uint32_t kPage = 100;

class PageCacheTest : public ::testing::Test {
 protected:
  explicit PageCacheTest(size_t max_bytes = size_t{1} << 30, uint32_t max_reads = 16)
      : pages({kPage, uint64_t{1} << 20, max_bytes, max_reads}, source) {}

  struct Answer {
    bool came = false;
    std::string error;
    EventPageRef page;
  };
  std::shared_ptr<Answer> Ask(uint64_t after, uint64_t floor = 0, uint64_t epoch = 1, const std::string& topic = "t") {
    auto answer = std::make_shared<Answer>();
    pages.Read({topic, epoch, after, floor}, [answer](const ReadResult<EventPageRef>& result) {
      EXPECT_FALSE(answer->came);
      *answer = {true, result.error, result.value};
    });
    return answer;
  }
  EventPageRef Get(uint64_t after, uint64_t floor = 0, uint64_t epoch = 1, const std::string& topic = "t") {
    const auto answer = Ask(after, floor, epoch, topic);
    while (source.Answer()) {
    }
    EXPECT_TRUE(answer->came);
    return answer->page;
  }

  FakeSource source;
  PageCache pages;
};

// Room for two pages and a half, and one read at a time.
class SmallPageCacheTest : public PageCacheTest {
 protected:
  SmallPageCacheTest() : PageCacheTest(5 * kPage / 2 * WeightOf(*MakeEvent("t", 999)), 1) {}
};

TEST_F(PageCacheTest, EveryPlaceOfAPageIsServedByOneRead) {
  source.Fill("t", 250);
  for (const uint64_t after : {150u, 100u, 199u}) {
    const EventPageRef page = Get(after);
    ASSERT_TRUE(page);
    EXPECT_TRUE(page->Covers(after));
    EXPECT_EQ(page->At(after + 1).watermark, after + 1);
  }
  EXPECT_EQ(source.reads.size(), 1u);
  EXPECT_EQ(pages.stats().hits, 2u);
}

TEST_F(PageCacheTest, QuestionsWhileAReadIsUnderWayJoinIt) {
  source.Fill("t", 100);
  std::vector<std::shared_ptr<Answer>> answers;
  for (uint64_t after = 0; after < 100; ++after) answers.push_back(Ask(after));
  EXPECT_EQ(source.reads.size(), 1u);
  source.Answer();
  for (const auto& answer : answers) EXPECT_TRUE(answer->came && answer->page == answers[0]->page);
}

TEST_F(PageCacheTest, TheLastPageIsReadOnFromWhereItEnds) {
  source.Fill("t", 30);
  EXPECT_EQ(Get(0)->through(), 30u);
  EXPECT_EQ(Get(10)->through(), 30u);
  EXPECT_EQ(source.reads.size(), 1u);
  source.Fill("t", 20);
  EXPECT_EQ(Get(30)->through(), 50u);
  EXPECT_EQ(source.reads.back(), (std::pair<std::string, uint64_t>("t", 30)));
  // Joined to what was there: the place before is served with both.
  EXPECT_EQ(Get(0)->through(), 50u);
  EXPECT_EQ(source.reads.size(), 2u);
}

TEST_F(PageCacheTest, NothingIsKeptOfGapsAndErrors) {
  source.Fill("t", 20);
  source.hidden = 5;
  EXPECT_EQ(Get(0)->through(), 4u);
  EXPECT_FALSE(Get(4));
  source.hidden = 0;
  EXPECT_EQ(Get(4)->through(), 20u);
  EXPECT_FALSE(Get(20));
  source.error = "away";
  const auto failed = Ask(100);
  source.Answer();
  EXPECT_EQ(failed->error, "away");
  source.error.clear();
  source.Fill("t", 100);
  EXPECT_TRUE(Get(100));
}

TEST_F(PageCacheTest, AFloorInsideOfAPageIsWhereReadingBegins) {
  source.Fill("t", 200);
  source.floors["t"] = 130;
  EXPECT_EQ(Get(150, 130)->after(), 130u);
  EXPECT_EQ(Get(130, 130)->through(), 200u);
  EXPECT_EQ(source.reads.size(), 1u);
}

TEST_F(PageCacheTest, AFloorThatRoseUnnoticedCostsASecondReadOnly) {
  source.Fill("t", 200);
  source.floors["t"] = 130;
  EXPECT_EQ(Get(150, 0)->after(), 150u);
  EXPECT_EQ(source.reads.size(), 2u);
}

TEST_F(PageCacheTest, LargeEventsMakeSeveralRuns) {
  source.Fill("t", 100);
  source.max_per_read = 10;
  EXPECT_EQ(Get(55)->after(), 55u);  // the read from 0 ended before it
  EXPECT_EQ(Get(5)->through(), 10u);
  EXPECT_EQ(Get(60)->through(), 65u);
  EXPECT_EQ(source.reads.size(), 2u);
}

TEST_F(PageCacheTest, EpochsDoNotMix) {
  source.Fill("t", 50);
  source.epoch = 2;
  source.Fill("t", 50);
  EXPECT_EQ(Get(0, 0, 1)->through(), 50u);  // what follows is of another history
  EXPECT_EQ(Get(0, 0, 2)->through(), 100u);
  EXPECT_EQ(Get(0, 0, 1)->through(), 50u);
  EXPECT_FALSE(Get(50, 0, 1));
}

TEST_F(PageCacheTest, WhatWasTakenBackIsForgotten) {
  source.Fill("t", 150);
  Get(0);
  Get(100);
  const auto under_way = Ask(150);
  source.Fill("t", 10);
  pages.Forget("t", 120);
  EXPECT_TRUE(pages.Find("t", 1, 0));
  EXPECT_FALSE(pages.Find("t", 1, 100));
  source.Answer();
  EXPECT_TRUE(under_way->came);
  EXPECT_FALSE(pages.Find("t", 1, 150)) << "a read that began before is not kept";
}

TEST_F(PageCacheTest, OtherTopicsAreUntouched) {
  source.Fill("t", 10);
  source.Fill("t2", 10);
  Get(0);
  Get(0, 0, 1, "t2");
  pages.Forget("t", 0);
  EXPECT_TRUE(pages.Find("t2", 1, 0));
  EXPECT_FALSE(pages.Find("t", 1, 0));
}

TEST_F(SmallPageCacheTest, ThePageUsedLongestAgoMakesRoom) {
  source.Fill("t", 1000);
  Get(0);
  Get(100);
  Get(0);
  Get(200);
  EXPECT_TRUE(pages.Find("t", 1, 0));
  EXPECT_FALSE(pages.Find("t", 1, 100));
  EXPECT_GT(pages.stats().evictions, 0u);
}

TEST_F(SmallPageCacheTest, WhenPagesInUseFillTheMemoryOthersWaitTheirTurn) {
  source.Fill("t", 1000);
  std::vector<EventPageRef> held{Get(0), Get(100), Get(200)};
  const auto first = Ask(300);
  const auto second = Ask(400);
  while (source.Answer()) {
  }
  EXPECT_FALSE(first->came);
  EXPECT_EQ(source.reads.size(), 3u);
  EXPECT_TRUE(pages.HasWaiting());
  EXPECT_TRUE(Ask(50)->came) << "what is in memory is nobody's turn";
  const size_t most = pages.bytes();
  held.clear();
  pages.Proceed();
  while (source.Answer()) {
    EXPECT_LE(pages.bytes(), most);
  }
  EXPECT_TRUE(first->page);
  first->page.reset();
  pages.Proceed();
  while (source.Answer()) {
  }
  EXPECT_TRUE(second->page);
  EXPECT_FALSE(pages.HasWaiting());
}

TEST_F(SmallPageCacheTest, ReadsAtOnceAreBounded) {
  source.Fill("t", 300);
  const auto first = Ask(0);
  const auto second = Ask(100);
  EXPECT_EQ(source.answers.size(), 1u);
  source.Answer();
  EXPECT_TRUE(first->came);
  first->page.reset();
  pages.Proceed();
  while (source.Answer()) {
  }
  EXPECT_TRUE(second->page);
}

// A source whose answers come from other threads.
class ThreadedSource final : public Source {
 public:
  explicit ThreadedSource(FakeSource& journal) : journal_(journal) {}
  void Follow(const std::string&) override {}
  void Unfollow(const std::string&) override {}
  void ReadHeads(std::vector<std::string>, HeadsCallback) override {}
  void ReadHistories(std::vector<std::string>, HistoriesCallback) override {}
  void ReadAfter(const std::string& topic, uint64_t after, uint32_t max_events, uint64_t bytes,
                 EventsCallback done) override {
    std::function<void()> answer;
    {
      const std::lock_guard lock(mutex_);
      journal_.ReadAfter(topic, after, max_events, bytes, std::move(done));
      answer = std::move(journal_.answers.back());
      journal_.answers.pop_back();
    }
    const std::lock_guard lock(mutex_);
    threads_.emplace_back([answer = std::move(answer)] { answer(); });
  }
  void Join() {
    while (true) {
      std::vector<std::thread> threads;
      {
        const std::lock_guard lock(mutex_);
        threads.swap(threads_);
      }
      if (threads.empty()) return;
      for (auto& thread : threads) thread.join();
    }
  }

 private:
  FakeSource& journal_;
  std::mutex mutex_;
  std::vector<std::thread> threads_;
};

TEST(PageCacheThreads, ManyLoopsShareTheReads) {
  FakeSource journal;
  journal.Fill("t", 1000);
  journal.floors["t"] = 0;
  ThreadedSource source(journal);
  PageCache pages({kPage, uint64_t{1} << 20, size_t{1} << 30, 16}, source);
  std::atomic<int> served{0};
  std::vector<std::thread> loops;
  loops.reserve(4);
  for (int loop = 0; loop < 4; ++loop) {
    loops.emplace_back([&] {
      for (uint64_t after = 0; after < 1000; after += 7) {
        pages.Read({"t", 1, after, 0}, [&served, after](const ReadResult<EventPageRef>& result) {
          if (result.value && result.value->Covers(after)) ++served;
        });
      }
    });
  }
  for (auto& loop : loops) loop.join();
  source.Join();
  EXPECT_EQ(served, 4 * 143);
  EXPECT_EQ(journal.reads.size(), 10u);
}

}  // namespace
}  // namespace oasync
