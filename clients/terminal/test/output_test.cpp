#include "output.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <cstdio>
#include <memory>

namespace oasync::terminal {
namespace {

TEST(Output, AFailureStaysOne) {
  const std::unique_ptr<FILE, int (*)(FILE*)> file(tmpfile(), &fclose);
  ASSERT_NE(file, nullptr);
  Output output(fileno(file.get()));
  output.Add("gone out");
  EXPECT_EQ(output.Flush(), OutputState::kOpen);
  EXPECT_EQ(output.Sync(), OutputState::kOpen);
  EXPECT_FALSE(output.has_failed());

  auto* const before = std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &limit), 0);
  const rlimit small{1, limit.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  output.Add("refused");
  EXPECT_EQ(output.Flush(), OutputState::kFailed);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  std::signal(SIGXFSZ, before);

  // The cause is over, and what was lost is still lost.
  EXPECT_EQ(output.Flush(), OutputState::kFailed);
  EXPECT_EQ(output.Sync(), OutputState::kFailed);
  EXPECT_TRUE(output.has_failed());
  EXPECT_FALSE(output.error().empty());
}

}  // namespace
}  // namespace oasync::terminal
