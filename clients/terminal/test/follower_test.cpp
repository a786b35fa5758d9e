#include "follower.h"

#include <gtest/gtest.h>

namespace oasync::terminal {
namespace {

constexpr uint64_t kEpoch = 1795377600000000;

UpdateBatch Batch(const std::string& topic, uint64_t after, uint64_t through, const std::vector<uint64_t>& watermarks) {
  UpdateBatch batch;
  batch.set_after_watermark(after);
  batch.set_through_watermark(through);
  for (const uint64_t watermark : watermarks) {
    auto* update = batch.add_updates();
    update->set_topic(topic);
    update->set_watermark(watermark);
  }
  return batch;
}

Json Reply(const std::string& topic, uint64_t at, uint64_t head) {
  return {{"current_watermarks", Json::array({{{"topic", topic}, {"watermark", at}, {"epoch", kEpoch}}})},
          {"head_watermarks", Json::array({{{"topic", topic}, {"watermark", head}}})}};
}

class FollowerAt10 : public testing::Test {
 protected:
  FollowerAt10() {
    follower.Add("t", Cursor{kEpoch, 10});
    follower.Adopt(Reply("t", 10, 20));
  }
  uint64_t at() const { return follower.topics().at("t").cursor->watermark; }

  Follower follower;
};

TEST_F(FollowerAt10, TakesWhatFollowsTheCursor) {
  const auto outcome = follower.Judge(Batch("t", 10, 14, {11, 13}));
  EXPECT_EQ(outcome.verdict, Follower::Verdict::kApply);
  EXPECT_EQ(outcome.first, 0);
  EXPECT_EQ(at(), 10u) << "the cursor moves when the updates were handed out, not before";
  follower.Advance("t", 14);
  EXPECT_EQ(at(), 14u) << "void events are covered by the interval";
}

TEST_F(FollowerAt10, DropsWhatItHas) {
  EXPECT_EQ(follower.Judge(Batch("t", 5, 10, {6, 10})).verdict, Follower::Verdict::kKnown);
  const auto outcome = follower.Judge(Batch("t", 8, 12, {9, 10, 11, 12}));
  EXPECT_EQ(outcome.verdict, Follower::Verdict::kApply);
  EXPECT_EQ(outcome.first, 2);
}

TEST_F(FollowerAt10, NeverSkipsAGap) {
  EXPECT_EQ(follower.Judge(Batch("t", 11, 12, {12})).verdict, Follower::Verdict::kGap);
  EXPECT_EQ(follower.Judge(Batch("t", 12, 13, {13})).verdict, Follower::Verdict::kIgnore) << "asked for once";
  EXPECT_EQ(at(), 10u);
  EXPECT_EQ(follower.ResumeAfter("t"), Json::parse(R"([{"topic":"t","watermark":10,"epoch":1795377600000000}])"));
  follower.Adopt(Reply("t", 10, 20));
  EXPECT_EQ(follower.Judge(Batch("t", 10, 13, {11, 12, 13})).verdict, Follower::Verdict::kApply);
  follower.Advance("t", 13);
  EXPECT_EQ(follower.Judge(Batch("t", 15, 16, {16})).verdict, Follower::Verdict::kGap)
      << "the next gap is asked about too";
}

TEST_F(FollowerAt10, AGapIsAskedAboutAnewAfterACut) {
  EXPECT_EQ(follower.Judge(Batch("t", 11, 12, {12})).verdict, Follower::Verdict::kGap);
  follower.Disconnected();
  EXPECT_EQ(follower.Judge(Batch("t", 11, 12, {12})).verdict, Follower::Verdict::kGap);
}

TEST_F(FollowerAt10, TheCursorNeverMovesBack) {
  follower.Advance("t", 12);
  follower.Advance("t", 11);
  EXPECT_EQ(at(), 12u);
  follower.Adopt(Reply("t", 0, 20));
  EXPECT_EQ(at(), 12u);
}

TEST_F(FollowerAt10, StrangeTopicsAreIgnored) {
  EXPECT_EQ(follower.Judge(Batch("other", 0, 1, {1})).verdict, Follower::Verdict::kIgnore);
}

TEST_F(FollowerAt10, ReachesItsTargetByBatches) {
  EXPECT_FALSE(follower.AtTargets());
  EXPECT_EQ(follower.Behind(), 10u);
  follower.Advance("t", 20);
  EXPECT_TRUE(follower.AtTargets());
  EXPECT_EQ(follower.Behind(), 0u);
  follower.Adopt(Reply("t", 20, 30));
  EXPECT_TRUE(follower.AtTargets()) << "what came after the first subscribe is not waited for";
}

TEST_F(FollowerAt10, ReachesItsTargetByAHeartbeatWhenTheEndIsVoid) {
  follower.Advance("t", 18);
  follower.Heartbeat(Json::parse(R"({"watermarks":[{"topic":"t","watermark":20,"epoch":1,"head_watermark":20}]})"));
  EXPECT_TRUE(follower.AtTargets());
  EXPECT_EQ(at(), 18u) << "the cursor moves by batches only";
  EXPECT_EQ(follower.Judge(Batch("t", 18, 21, {21})).verdict, Follower::Verdict::kApply);
}

TEST_F(FollowerAt10, AHeartbeatBehindAGapSaysNothing) {
  EXPECT_EQ(follower.Judge(Batch("t", 11, 12, {12})).verdict, Follower::Verdict::kGap);
  follower.Heartbeat(Json::parse(R"({"watermarks":[{"topic":"t","watermark":20}]})"));
  EXPECT_FALSE(follower.AtTargets());
}

TEST(Follower, WithoutACursorTheServerSaysWhereItBegins) {
  Follower follower;
  follower.Add("t", std::nullopt);
  EXPECT_EQ(follower.ResumeAfter(), Json::array());
  EXPECT_EQ(follower.Judge(Batch("t", 0, 1, {1})).verdict, Follower::Verdict::kMalformed) << "nothing is subscribed";
  follower.Adopt(Reply("t", 7, 9));
  EXPECT_EQ(follower.Judge(Batch("t", 7, 8, {8})).verdict, Follower::Verdict::kApply);
  EXPECT_EQ(follower.topics().at("t").cursor->epoch, kEpoch);
}

TEST(Follower, AnEmptyTopicIsAtItsTarget) {
  Follower follower;
  follower.Add("t", std::nullopt);
  EXPECT_FALSE(follower.AtTargets());
  follower.Adopt(Reply("t", 0, 0));
  EXPECT_TRUE(follower.AtTargets());
}

TEST(Follower, ARestartForgetsTheOtherHistory) {
  Follower follower;
  follower.Add("t", Cursor{1, 100});
  follower.Adopt(Reply("t", 100, 500));
  follower.Restart("t", Cursor{2, 3});
  follower.Adopt(Reply("t", 3, 3));
  EXPECT_TRUE(follower.AtTargets());
  EXPECT_EQ(follower.Behind(), 0u);
}

TEST(Follower, LargeWatermarksAreText) {
  Follower follower;
  follower.Add("t", Cursor{0, uint64_t{1} << 60});
  EXPECT_EQ(follower.ResumeAfter().dump(), R"([{"topic":"t","watermark":"1152921504606846976"}])");
  follower.Adopt(Json::parse(R"({"head_watermarks":[{"topic":"t","watermark":"1152921504606846977"}]})"));
  EXPECT_EQ(follower.Behind(), 1u);
}

TEST(Follower, RepliesOfAnyShapeAreSurvived) {
  Follower follower;
  follower.Add("t", Cursor{1, 1});
  for (const char* text : {"null", "[]", "{}", R"({"current_watermarks":5})", R"({"current_watermarks":[1,null,"x"]})",
                           R"({"current_watermarks":[{"topic":5}],"head_watermarks":{"a":1}})",
                           R"({"watermarks":[{"topic":"t","watermark":-1}]})"}) {
    follower.Adopt(Json::parse(text));
    follower.Heartbeat(Json::parse(text));
  }
  EXPECT_EQ(follower.topics().at("t").cursor->watermark, 1u);
}

}  // namespace
}  // namespace oasync::terminal
