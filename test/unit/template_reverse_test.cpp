#include "template_reverse.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace oasync {
namespace {

// A small language for tests: <0> is column 0, everything else a literal.
std::vector<ReversePart> Parts(std::string_view text) {
  std::vector<ReversePart> parts;
  size_t literal = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '<') continue;
    if (i > literal) parts.push_back({-1, text.substr(literal, i - literal)});
    parts.push_back({text[i + 1] - '0', {}});
    i += 2;
    literal = i + 1;
  }
  if (literal < text.size()) parts.push_back({-1, text.substr(literal)});
  return parts;
}

struct Ways {
  int columns;
  std::string all;
  int stop_after;
  int count;
};

bool AddWay(const std::string_view* values, void* context) {
  auto* ways = static_cast<Ways*>(context);
  if (!ways->all.empty()) ways->all += ' ';
  for (int i = 0; i < ways->columns; ++i) ways->all += (i > 0 ? "," : "") + std::string(values[i]);
  return ++ways->count != ways->stop_after;
}

std::string Reversed(std::string_view pattern, int columns, std::string_view text) {
  const std::vector<ReversePart> parts = Parts(pattern);
  Ways ways = {columns, "", -1, 0};
  const Reversal result = ReverseTemplate(parts.data(), static_cast<int>(parts.size()), text, AddWay, &ways);
  return result == Reversal::kAll ? "[" + ways.all + "]" : result == Reversal::kTooMany ? "too many" : "stopped";
}

TEST(ReverseTemplate, FindsTheValues) {
  EXPECT_EQ(Reversed("run:<0>:events", 1, "run:42:events"), "[42]");
  EXPECT_EQ(Reversed("<0>", 1, "anything"), "[anything]");
  EXPECT_EQ(Reversed("<0>/<1>", 2, "a/b"), "[a,b]");
  EXPECT_EQ(Reversed("run:<0>:events", 1, "run::events"), "[]");  // one way: the empty text
  EXPECT_EQ(Reversed("<0>x", 1, "xx"), "[x]");
}

TEST(ReverseTemplate, FindsNothingWhereThereIsNothing) {
  for (const char* text : {"run:42:event", "run:42:eventsx", "xrun:42:events", "run:", "", "run:events"}) {
    Ways ways = {1, "", -1, 0};
    const std::vector<ReversePart> parts = Parts("run:<0>:events");
    EXPECT_EQ(ReverseTemplate(parts.data(), static_cast<int>(parts.size()), text, AddWay, &ways), Reversal::kAll);
    EXPECT_EQ(ways.count, 0) << text;
  }
}

TEST(ReverseTemplate, GivesEveryWay) {
  EXPECT_EQ(Reversed("<0>:<1>", 2, "a:b:c"), "[a,b:c a:b,c]");
  EXPECT_EQ(Reversed("<0><1>", 2, "ab"), "[,ab a,b ab,]");
  EXPECT_EQ(Reversed("<0>aa<1>", 2, "aaa"), "[,a a,]");
}

TEST(ReverseTemplate, AColumnTwiceHasOneValue) {
  EXPECT_EQ(Reversed("<0>:<1>:<0>", 2, "a:b:a"), "[a,b]");
  EXPECT_EQ(Reversed("<0>:<1>:<0>", 2, "a:b:c"), "[]");
  EXPECT_EQ(Reversed("<0><0>", 1, "abab"), "[ab]");
}

TEST(ReverseTemplate, TheVisitorCanStop) {
  const std::vector<ReversePart> parts = Parts("<0><1>");
  Ways ways = {2, "", 2, 0};
  EXPECT_EQ(ReverseTemplate(parts.data(), 2, "abcdef", AddWay, &ways), Reversal::kStopped);
  EXPECT_EQ(ways.count, 2);
}

TEST(ReverseTemplate, HostileTextsAreBounded) {
  const std::string text(1024, 'a');
  std::vector<ReversePart> parts;
  for (int i = 0; i < 16; ++i) {
    parts.push_back({i, {}});
    parts.push_back({-1, "a"});
  }
  Ways ways = {0, "", -1, 0};
  EXPECT_EQ(ReverseTemplate(parts.data(), 32, text + "b", AddWay, &ways), Reversal::kTooMany);
}

// What reversing finds is exactly what renders the text, tried with every short text.
TEST(ReverseTemplate, AgreesWithRendering) {
  const std::string alphabet = "ab:";
  std::vector<std::string> texts = {""};
  for (size_t i = 0; i < texts.size() && texts[i].size() < 4; ++i) {
    for (const char c : alphabet) texts.push_back(texts[i] + c);
  }
  for (const char* pattern : {"<0>:<1>", "a<0>b<1>", "<0><1>", "<0>:<0>", ":<0>:<1>:", "<0>a<1>a<0>"}) {
    const std::vector<ReversePart> parts = Parts(pattern);
    for (const std::string& text : texts) {
      int expected = 0;
      for (const std::string& x : texts) {
        for (const std::string& y : texts) {
          if (std::string_view(pattern).find("<1>") == std::string_view::npos && !y.empty()) continue;
          std::string rendered;
          for (const ReversePart& part : parts) {
            rendered += part.column < 0 ? std::string(part.literal) : part.column == 0 ? x : y;
          }
          expected += rendered == text;
        }
      }
      Ways ways = {0, "", -1, 0};
      ReverseTemplate(parts.data(), static_cast<int>(parts.size()), text, AddWay, &ways);
      EXPECT_EQ(ways.count, expected) << pattern << " " << text;
    }
  }
}

bool Can(std::string_view pattern, std::string_view text) {
  TextTemplate parsed;
  EXPECT_EQ(ParseTemplate(pattern, parsed), nullptr);
  return TemplateCanRender(parsed, text);
}

TEST(TemplateCanRender, KnowsLiteralsColumnsAndBraces) {
  EXPECT_TRUE(Can("runtime.run_summaries", "runtime.run_summaries"));
  EXPECT_FALSE(Can("runtime.run_summaries", "runtime.run_summarie"));
  EXPECT_TRUE(Can("run:{id}:events", "run:42:events"));
  EXPECT_FALSE(Can("run:{id}:events", "job:42:events"));
  EXPECT_TRUE(Can("{{{id}}}", "{x}"));
  EXPECT_FALSE(Can("{{{id}}}", "x"));
  EXPECT_TRUE(Can("{a}:{a}", "x:x"));
  EXPECT_FALSE(Can("{a}:{a}", "x:y"));
}

}  // namespace
}  // namespace oasync
