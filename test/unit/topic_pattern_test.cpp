#include "topic_pattern.h"

#include <gtest/gtest.h>

#include <random>
#include <regex>
#include <string>
#include <vector>

namespace oasync {
namespace {

TEST(IsValidPattern, TakesTopicsAndStars) {
  for (const char* good : {"*", "a", "run:*", "*:events", "a*b*c", "A-Z_0.9:/*"})
    EXPECT_TRUE(IsValidPattern(good)) << good;
  for (const char* bad : {"", "**", "a**b", "a b", "run:{id}", "a?", "\xc3\xa4"})
    EXPECT_FALSE(IsValidPattern(bad)) << bad;
  EXPECT_TRUE(IsValidPattern(std::string(160, 'a')));
  EXPECT_FALSE(IsValidPattern(std::string(161, 'a')));
}

TEST(MatchesPattern, WithoutStarsIsTheTopicItself) {
  EXPECT_TRUE(MatchesPattern("runtime.run_summaries", "runtime.run_summaries"));
  EXPECT_FALSE(MatchesPattern("runtime.run_summaries", "runtime.run_summaries2"));
  EXPECT_FALSE(MatchesPattern("runtime.run_summaries", "runtime.run_summarie"));
  EXPECT_FALSE(MatchesPattern("a.c", "abc"));
}

TEST(MatchesPattern, AStarIsAnyRunOfCharacters) {
  EXPECT_TRUE(MatchesPattern("*", "a"));
  EXPECT_TRUE(MatchesPattern("run:*", "run:"));
  EXPECT_TRUE(MatchesPattern("run:*", "run:1:events"));
  EXPECT_FALSE(MatchesPattern("run:*", "run"));
  EXPECT_TRUE(MatchesPattern("*:events", "run:1:events"));
  EXPECT_FALSE(MatchesPattern("*:events", "run:1:events2"));
  EXPECT_TRUE(MatchesPattern("run:*:events", "run::events"));
  EXPECT_FALSE(MatchesPattern("run:*:events", "run:events"));
  EXPECT_TRUE(MatchesPattern("*ab*ab*", "xabab"));
  EXPECT_FALSE(MatchesPattern("*ab*ab*", "xaba"));
  EXPECT_TRUE(MatchesPattern("a*aab", "aaaaab"));
  EXPECT_FALSE(MatchesPattern("a*aab", "aab"));
}

TEST(MatchesPattern, IsWhatARegularExpressionSays) {
  std::mt19937 random(7);
  for (int round = 0; round < 20000; ++round) {
    std::string pattern;
    std::string topic;
    for (size_t n = random() % 7; pattern.size() <= n;) {
      const char c = "ab*"[random() % 3];
      if (c != '*' || pattern.empty() || pattern.back() != '*') pattern += c;
    }
    for (size_t n = random() % 8; topic.size() <= n;) topic += "ab"[random() % 2];
    std::string expression;
    for (const char c : pattern) expression += c == '*' ? std::string(".*") : std::string(1, c);
    EXPECT_EQ(MatchesPattern(pattern, topic), std::regex_match(topic, std::regex(expression)))
        << pattern << ' ' << topic;
  }
}

TEST(MatchesPattern, IsNotExponential) {
  std::string pattern;
  for (int i = 0; i < 79; ++i) pattern += "*a";
  EXPECT_FALSE(MatchesPattern(pattern + "b", std::string(160, 'a')));
}

TEST(DecidesBefore, MoreCharactersThenFewerStarsThenBytes) {
  const std::vector<std::string> order = {
      "run:1:events", "run:*:events", "*:events", "run:9*", "run:*", "run*", "*run*", "a", "b", "*a", "a*", "*"};
  for (size_t i = 0; i < order.size(); ++i) {
    for (size_t j = 0; j < order.size(); ++j) {
      EXPECT_EQ(DecidesBefore(order[i], order[j]), i < j) << order[i] << ' ' << order[j];
    }
  }
}

}  // namespace
}  // namespace oasync
