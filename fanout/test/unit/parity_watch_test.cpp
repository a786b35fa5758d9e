// The parity audits as a fan-out knows them: asked for now and then, and taken as they should be.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "admin/parity_watch.h"
#include "fakes.h"

namespace oasync {
namespace {

// Answers when the test says so.
class WaitingParity final : public ParityDatabase {
 public:
  void ReadParity(DocumentCallback done) override { asked.push_back(std::move(done)); }
  void Answer(const char* sqlstate, std::string body) {
    DocumentAnswer answer;
    answer.sqlstate = sqlstate;
    if (*sqlstate != '\0') answer.error = "refused";
    answer.body = std::move(body);
    const DocumentCallback done = std::move(asked.back());
    asked.pop_back();
    done(std::move(answer));
  }
  std::vector<DocumentCallback> asked;
};

TEST(ParityWatch, AsksEveryNowAndThenAndLetsAgesGoOn) {
  FakeClock clock;
  WaitingParity database;
  ParityWatch watch(database, clock);
  watch.Tick();
  watch.Tick();
  ASSERT_EQ(database.asked.size(), 1u);
  EXPECT_TRUE(watch.Lanes().empty());
  database.Answer("", R"([{"lane":"runs","enabled":true,"max_rate":0.01,"max_age_s":300,"enabled_s":7,"audit_age_s":2.5,
    "checked":100,"mismatched":3,"totals":{"none":97,"missing":3}},{"lane":"new","audit_age_s":null}])");
  clock.steady_ms += 1000;
  watch.Tick();
  EXPECT_TRUE(database.asked.empty());
  const auto lanes = watch.Lanes();
  ASSERT_EQ(lanes.size(), 2u);
  EXPECT_EQ(lanes[0].name, "runs");
  EXPECT_EQ(lanes[0].audit_age_s, 3.5);
  EXPECT_EQ(lanes[0].enabled_s, 8);
  EXPECT_EQ(lanes[0].totals, (std::array<double, 5>{97, 0, 0, 0, 3}));
  EXPECT_EQ(lanes[1].audit_age_s, -1);
  clock.steady_ms += ParityWatch::kEveryMs;
  watch.Tick();
  ASSERT_EQ(database.asked.size(), 1u);
  database.Answer("08006", "");  // it is away: what it said last stands
  EXPECT_EQ(watch.Lanes().size(), 2u);
  clock.steady_ms += ParityWatch::kEveryMs;
  watch.Tick();
  database.Answer("42883", "");  // an extension before 0.5.0
  EXPECT_TRUE(watch.Lanes().empty());
  clock.steady_ms += ParityWatch::kEveryMs;
  watch.Tick();
  EXPECT_TRUE(database.asked.empty());
  clock.steady_ms += ParityWatch::kAfterRefusalMs;
  watch.Tick();
  EXPECT_EQ(database.asked.size(), 1u);
}

TEST(ParityWatch, TakesNoMoreLanesThanItShowsAndNoNonsense) {
  std::string many = "[";
  for (int i = 0; i < 100; ++i) many += (i > 0 ? "," : "") + std::string(R"({"lane":"l)") + std::to_string(i) + R"("})";
  EXPECT_EQ(ParseParityLanes(many + "]").size(), ParityWatch::kMaxLanes);
  for (const char* body : {"", "{}", "[1]", R"([{"lane":1}])", "[", R"({"lane":"x"})"}) {
    EXPECT_TRUE(ParseParityLanes(body).empty()) << body;
  }
  const auto odd = ParseParityLanes(R"([{"lane":"x","enabled":"yes","totals":[1],"checked":"many","audit_age_s":{}}])");
  ASSERT_EQ(odd.size(), 1u);
  EXPECT_FALSE(odd[0].enabled);
}

}  // namespace
}  // namespace oasync
