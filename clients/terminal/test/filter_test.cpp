#include "filter.h"

#include <gtest/gtest.h>

namespace oasync::terminal {
namespace {

using openagents::sync::v1::SYNC_OP_DELETE;
using openagents::sync::v1::SYNC_OP_UPSERT;

TEST(Glob, Matches) {
  EXPECT_TRUE(GlobMatches("", ""));
  EXPECT_TRUE(GlobMatches("*", ""));
  EXPECT_TRUE(GlobMatches("run:*", "run:42"));
  EXPECT_TRUE(GlobMatches("*:42:*", "run:42:events"));
  EXPECT_TRUE(GlobMatches("a*b*c", "aXbYbZc"));
  EXPECT_TRUE(GlobMatches("r?n", "run"));
  EXPECT_TRUE(GlobMatches("gr?n", "grün")) << "a character of two bytes";
  EXPECT_TRUE(GlobMatches("a\\*", "a*"));
  EXPECT_FALSE(GlobMatches("", "a"));
  EXPECT_FALSE(GlobMatches("run:*", "xrun:1"));
  EXPECT_FALSE(GlobMatches("run", "runs"));
  EXPECT_FALSE(GlobMatches("a\\*", "ab"));
  EXPECT_FALSE(GlobMatches("a?", "a"));
  EXPECT_FALSE(GlobMatches("*a*a*a*a*a*a*a*a*b", std::string(2000, 'a'))) << "and does not take for ever";
}

bool Holds(const std::string& condition, const char* payload) {
  const auto field = FieldCondition::Parse(condition);
  EXPECT_TRUE(field) << condition;
  return field && field->Holds(nlohmann::json::parse(payload));
}

TEST(Field, ComparesValues) {
  EXPECT_TRUE(Holds("status=done", R"({"status":"done"})"));
  EXPECT_TRUE(Holds("n=7", R"({"n":7})"));
  EXPECT_TRUE(Holds("n=7", R"({"n":"7"})")) << "who types cannot tell";
  EXPECT_TRUE(Holds("a.b.0=x", R"({"a":{"b":["x"]}})"));
  EXPECT_TRUE(Holds("ok=true", R"({"ok":true})"));
  EXPECT_TRUE(Holds("gone=null", R"({"gone":null})"));
  EXPECT_TRUE(Holds("text=", R"({"text":""})"));
  EXPECT_TRUE(Holds("eq=a=b", R"({"eq":"a=b"})"));
  EXPECT_FALSE(Holds("status=done", R"({"status":"failed"})"));
  EXPECT_FALSE(Holds("n=7", R"({"n":7.5})"));
  EXPECT_FALSE(Holds("a.b=x", R"({"a":"x"})"));
  EXPECT_FALSE(Holds("gone=null", R"({})")) << "not there is not null";
}

TEST(Field, Negated) {
  EXPECT_TRUE(Holds("status!=done", R"({"status":"failed"})"));
  EXPECT_TRUE(Holds("status!=done", R"({})"));
  EXPECT_FALSE(Holds("status!=done", R"({"status":"done"})"));
}

TEST(Field, RefusesWhatIsNoCondition) {
  for (const char* text : {"", "a", "=x", "!=x"}) EXPECT_FALSE(FieldCondition::Parse(text)) << text;
}

TEST(Filter, AllKindsHaveToFit) {
  openagents::sync::v1::Update update;
  update.set_doc_key("item:1");
  update.set_op(SYNC_OP_UPSERT);
  update.set_payload(R"({"n":1})");
  Filter filter;
  EXPECT_TRUE(filter.empty());
  EXPECT_TRUE(filter.Shows(update));
  filter.ops = {"upsert"};
  filter.keys = {"other:*", "item:*"};
  filter.fields.push_back(*FieldCondition::Parse("n=1"));
  EXPECT_TRUE(filter.Shows(update));
  update.set_op(SYNC_OP_DELETE);
  EXPECT_FALSE(filter.Shows(update));
  filter.ops = {"delete"};
  update.clear_payload();
  EXPECT_FALSE(filter.Shows(update)) << "no payload, no field";
  filter.fields.clear();
  EXPECT_TRUE(filter.Shows(update));
  filter.keys = {"other:*"};
  EXPECT_FALSE(filter.Shows(update));
}

}  // namespace
}  // namespace oasync::terminal
