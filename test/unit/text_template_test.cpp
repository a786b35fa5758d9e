#include "text_template.h"

#include <gtest/gtest.h>

#include <string>

namespace oasync {
namespace {

// The parts as one text: columns as <name>, literals as [text] with braces made single.
std::string Parsed(std::string_view text) {
  TextTemplate parsed;
  const char* wrong = ParseTemplate(text, parsed);
  if (wrong != nullptr) return std::string("! ") + wrong;
  std::string all;
  for (int i = 0; i < parsed.count; ++i) {
    if (parsed.parts[i].is_column) {
      all += "<" + std::string(parsed.parts[i].text) + ">";
      continue;
    }
    Bytes literal;
    AppendLiteral(literal, parsed.parts[i].text);
    all += "[" + std::string(literal.view()) + "]";
    literal.Free();
  }
  return all;
}

TEST(ParseTemplate, TakesLiteralsAndColumns) {
  EXPECT_EQ(Parsed("runtime.run_summaries"), "[runtime.run_summaries]");
  EXPECT_EQ(Parsed("{id}"), "<id>");
  EXPECT_EQ(Parsed("run:{run_id}:events"), "[run:]<run_id>[:events]");
  EXPECT_EQ(Parsed("{a}{b}"), "<a><b>");
  EXPECT_EQ(Parsed("{a}:{b}:{a}"), "<a>[:]<b>[:]<a>");
  EXPECT_EQ(Parsed("{with space}{\"Quoted\"}{größe}"), "<with space><\"Quoted\"><größe>");
}

TEST(ParseTemplate, DoubledBracesAreLiteral) {
  EXPECT_EQ(Parsed("{{"), "[{]");
  EXPECT_EQ(Parsed("}}"), "[}]");
  EXPECT_EQ(Parsed("{{id}}"), "[{id}]");
  EXPECT_EQ(Parsed("a{{b}}c{d}e"), "[a{b}c]<d>[e]");
  EXPECT_EQ(Parsed("{{{id}}}"), "[{]<id>[}]");
  EXPECT_EQ(Parsed("{{{{"), "[{{]");
}

TEST(ParseTemplate, SaysWhatIsWrong) {
  EXPECT_EQ(Parsed(""), "! it is empty");
  EXPECT_EQ(Parsed("a{}b"), "! {} names no column");
  EXPECT_EQ(Parsed("a{b"), "! a { has no matching }; write {{ for a literal brace");
  EXPECT_EQ(Parsed("a{"), "! a { has no matching }; write {{ for a literal brace");
  EXPECT_EQ(Parsed("a}b"), "! a } has no matching {; write }} for a literal brace");
  EXPECT_EQ(Parsed("{a}}"), "! a } has no matching {; write }} for a literal brace");
}

TEST(ParseTemplate, PartsAreLimited) {
  std::string text;
  for (int i = 0; i < kMaxTemplateParts / 2; ++i) text += "x{c}";
  TextTemplate parsed;
  EXPECT_EQ(ParseTemplate(text, parsed), nullptr);
  EXPECT_EQ(parsed.count, kMaxTemplateParts);
  EXPECT_STREQ(ParseTemplate(text + "y", parsed), "it has more than 32 parts");
  EXPECT_STREQ(ParseTemplate(text + "{c}", parsed), "it has more than 32 parts");
}

TEST(IsValidTopic, TakesTheAlphabetOnly) {
  const std::string_view alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:/-";
  for (int c = 0; c < 256; ++c) {
    const std::string topic(1, static_cast<char>(c));
    EXPECT_EQ(IsValidTopic(topic), alphabet.find(static_cast<char>(c)) != std::string_view::npos) << c;
    EXPECT_EQ(IsValidTopic("a" + topic + "b"), IsValidTopic(topic)) << c;
  }
}

TEST(IsValidTopic, LengthIsLimited) {
  EXPECT_FALSE(IsValidTopic(""));
  EXPECT_TRUE(IsValidTopic("a"));
  EXPECT_TRUE(IsValidTopic(std::string(160, 'a')));
  EXPECT_FALSE(IsValidTopic(std::string(161, 'a')));
}

}  // namespace
}  // namespace oasync
