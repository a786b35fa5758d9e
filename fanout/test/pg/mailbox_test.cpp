#include "pg/mailbox.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <thread>
#include <vector>

#include "pg/clock.h"
#include "pg/epoch_board.h"

namespace oasync::pg {
namespace {

TEST(MailboxTest, EveryTaskOfEveryThreadArrivesInItsOrder) {
  Mailbox mailbox;
  constexpr int kThreads = 4;
  constexpr int kTasks = 5000;
  std::vector<int> last(kThreads, -1);
  int received = 0;
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&mailbox, &last, &received, t] {
      for (int i = 0; i < kTasks; ++i) {
        mailbox.Post([&last, &received, t, i] {
          EXPECT_EQ(last[t], i - 1);
          last[t] = i;
          ++received;
        });
      }
    });
  }
  while (received < kThreads * kTasks) {
    pollfd wake{mailbox.fd(), POLLIN, 0};
    ASSERT_EQ(poll(&wake, 1, 30'000), 1) << "a wake-up was lost";
    for (const Task& task : mailbox.Take()) task();
  }
  for (auto& thread : threads) thread.join();
  mailbox.Close();
  mailbox.Post([&received] { ++received; });
  EXPECT_TRUE(mailbox.Take().empty());
}

TEST(BackoffTest, DoublesUpToItsMaximum) {
  Backoff backoff(Millis(100), Millis(350));
  EXPECT_EQ(backoff.Next(), Millis(100));
  EXPECT_EQ(backoff.Next(), Millis(200));
  EXPECT_EQ(backoff.Next(), Millis(350));
  EXPECT_EQ(backoff.Next(), Millis(350));
  backoff.Reset();
  EXPECT_EQ(backoff.Next(), Millis(100));
}

TEST(ClockTest, PollTimeoutRoundsUp) {
  const TimePoint now = Clock::now();
  EXPECT_EQ(PollTimeout(now, now, 1000), 0);
  EXPECT_EQ(PollTimeout(now, now - Millis(5), 1000), 0);
  EXPECT_EQ(PollTimeout(now, now + std::chrono::microseconds(1), 1000), 1);
  EXPECT_EQ(PollTimeout(now, TimePoint::max(), 1000), 1000);
}

TEST(EpochBoardTest, OnlyGrows) {
  int raised = 0;
  EpochBoard board([&raised] { ++raised; });
  EXPECT_TRUE(board.Offer(3));
  EXPECT_TRUE(board.Offer(3));
  EXPECT_FALSE(board.Offer(2));
  EXPECT_TRUE(board.Offer(4));
  EXPECT_EQ(board.current(), 4u);
  EXPECT_EQ(raised, 2);
}

}  // namespace
}  // namespace oasync::pg
