#include "kernels/routing/route_spec.h"

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::routing {
namespace {

using ::testing::HasSubstr;

// DeepSeek-V3: 256 experts in 8 groups, of which 4 are kept.
RouteSpec Grouped() {
  RouteSpec spec;
  spec.num_experts = 256;
  spec.top_k = 8;
  spec.num_groups = 8;
  spec.top_groups = 4;
  return spec;
}

TEST(RouteSpecTest, ValidSpecs) {
  EXPECT_TRUE(Validate(Grouped()).ok());

  RouteSpec smallest;
  smallest.num_experts = smallest.top_k = 1;
  EXPECT_TRUE(Validate(smallest).ok());

  RouteSpec largest;
  largest.num_experts = largest.top_k = kMaxExperts;
  EXPECT_TRUE(Validate(largest).ok());

  RouteSpec every_group = Grouped();
  every_group.top_groups = 8;
  every_group.top_k = 256;
  EXPECT_TRUE(Validate(every_group).ok());

  RouteSpec tight = Grouped();  // top_k is all that the kept groups hold
  tight.top_groups = 1;
  tight.top_k = 32;
  EXPECT_TRUE(Validate(tight).ok());
}

TEST(RouteSpecTest, GroupsOffIgnoresTheGroupFields) {
  for (const int off : {0, 1, -1}) {
    RouteSpec spec = Grouped();
    spec.num_groups = off;
    spec.top_groups = -77;
    spec.num_experts = 7;
    spec.top_k = 7;
    EXPECT_FALSE(GroupsActive(spec)) << off;
    EXPECT_EQ(ExpertsPerGroup(spec), 7) << off;
    EXPECT_TRUE(Validate(spec).ok()) << off << ": " << Validate(spec);
  }
  EXPECT_TRUE(GroupsActive(Grouped()));
  EXPECT_EQ(ExpertsPerGroup(Grouped()), 32);
}

TEST(RouteSpecTest, GroupScoreTerms) {
  RouteSpec spec = Grouped();
  spec.top_groups = 3;
  EXPECT_EQ(GroupScoreTerms(spec), 2);
  spec.group_score = GroupScore::kMax;
  EXPECT_EQ(GroupScoreTerms(spec), 1);
  spec.group_score = GroupScore::kTopkSum;
  EXPECT_EQ(GroupScoreTerms(spec), 2);  // floor(8 / 3)
}

TEST(RouteSpecTest, NeedsRowSoftmaxForScoreOrWeight) {
  RouteSpec spec = Grouped();
  EXPECT_FALSE(NeedsRowSoftmax(spec));
  spec.weight = Weight::kSoftmaxOfSelected;
  EXPECT_FALSE(NeedsRowSoftmax(spec));
  spec.weight = Weight::kSoftmax;
  EXPECT_TRUE(NeedsRowSoftmax(spec));
  spec.weight = Weight::kScore;
  spec.score = Score::kSoftmax;
  EXPECT_TRUE(NeedsRowSoftmax(spec));
}

struct BadSpec {
  std::string field_and_value;  // how the message begins
  std::function<void(RouteSpec&)> spoil;
};

TEST(RouteSpecTest, EveryRefusalNamesFieldAndValue) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::vector<BadSpec> bad_specs = {
      {"num_experts = 0:", [](RouteSpec& s) { s.num_experts = 0; }},
      {"num_experts = -8:", [](RouteSpec& s) { s.num_experts = -8; }},
      {"num_experts = 16385:", [](RouteSpec& s) { s.num_experts = kMaxExperts + 1; }},
      {"top_k = 0:", [](RouteSpec& s) { s.top_k = 0; }},
      {"top_k = -1:", [](RouteSpec& s) { s.top_k = -1; }},
      {"top_k = 257:", [](RouteSpec& s) { s.top_k = 257; }},
      {"num_groups = 7:", [](RouteSpec& s) { s.num_groups = 7; }},
      {"num_groups = -2:", [](RouteSpec& s) { s.num_groups = -2; }},
      {"num_groups = 512:", [](RouteSpec& s) { s.num_groups = 512; }},
      {"top_groups = 0:", [](RouteSpec& s) { s.top_groups = 0; }},
      {"top_groups = 9:", [](RouteSpec& s) { s.top_groups = 9; }},
      {"top_k = 33:",
       [](RouteSpec& s) {
         s.top_groups = 1;
         s.top_k = 33;
       }},
      {"num_groups = 256:", [](RouteSpec& s) { s.num_groups = s.top_groups = 256; }},
      {"top_k = 3:",
       [](RouteSpec& s) {
         s.group_score = GroupScore::kTopkSum;
         s.top_k = 3;
       }},
      {"normalize_epsilon = -1:", [](RouteSpec& s) { s.normalize_epsilon = -1; }},
      {"normalize_epsilon = nan:", [=](RouteSpec& s) { s.normalize_epsilon = kNan; }},
      {"normalize_epsilon = inf:", [=](RouteSpec& s) { s.normalize_epsilon = kInfinity; }},
      {"normalize_min = -1:", [](RouteSpec& s) { s.normalize_min = -1; }},
      {"normalize_min = nan:", [=](RouteSpec& s) { s.normalize_min = kNan; }},
      {"normalize_min = inf:", [=](RouteSpec& s) { s.normalize_min = kInfinity; }},
      {"scale = 0:", [](RouteSpec& s) { s.scale = 0; }},
      {"scale = -2.5:", [](RouteSpec& s) { s.scale = -2.5f; }},
      {"scale = nan:", [=](RouteSpec& s) { s.scale = kNan; }},
      {"scale = inf:", [=](RouteSpec& s) { s.scale = kInfinity; }},
      {"score = 4:", [](RouteSpec& s) { s.score = static_cast<Score>(4); }},
      {"weight = -1:", [](RouteSpec& s) { s.weight = static_cast<Weight>(-1); }},
      {"group_score = 3:", [](RouteSpec& s) { s.group_score = static_cast<GroupScore>(3); }},
      {"dropped_group_fill = 2:", [](RouteSpec& s) { s.dropped_group_fill = static_cast<DroppedGroupFill>(2); }},
  };
  for (const BadSpec& bad : bad_specs) {
    RouteSpec spec = Grouped();
    bad.spoil(spec);
    const absl::Status status = Validate(spec);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad.field_and_value;
    EXPECT_EQ(std::string(status.message()).rfind(bad.field_and_value, 0), 0)
        << bad.field_and_value << " expected, said: " << status.message();
  }
}

TEST(RouteSpecTest, SingleExpertGroupsAreForMaxAndTopkSum) {
  RouteSpec spec = Grouped();
  spec.num_groups = 256;
  spec.top_groups = 8;
  EXPECT_THAT(std::string(Validate(spec).message()), HasSubstr("TOP2_SUM needs two experts per group"));
  spec.group_score = GroupScore::kMax;
  EXPECT_TRUE(Validate(spec).ok());
  spec.group_score = GroupScore::kTopkSum;
  EXPECT_TRUE(Validate(spec).ok());
}

}  // namespace
}  // namespace evenkeel::routing
