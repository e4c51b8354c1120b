#include "kernels/routing/warp/route_plan.h"

#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/routing/route.h"
#include "kernels/routing/route_spec.h"

namespace evenkeel::routing {
namespace {

RouteSpec Sigmoid(int num_experts) {
  RouteSpec spec;
  spec.num_experts = num_experts;
  spec.top_k = 8;
  spec.normalize = true;
  return spec;
}

RouteSpec GroupedSigmoid(int num_experts, int num_groups) {
  RouteSpec spec = Sigmoid(num_experts);
  spec.num_groups = num_groups;
  spec.top_groups = num_groups / 2;
  return spec;
}

RouteSpec ChosenSoftmax(int num_experts) {
  RouteSpec spec;
  spec.num_experts = num_experts;
  spec.top_k = 8;
  spec.score = Score::kLogit;
  spec.weight = Weight::kSoftmaxOfSelected;
  return spec;
}

// Ids, weights and counts wanted. No pointer is followed.
class RoutePlanTest : public testing::Test {
 protected:
  RoutePlanTest() {
    input_.logits = &memory_;
    input_.bias = reinterpret_cast<const float*>(&memory_);
    output_.ids = &memory_;
    output_.weights = &memory_;
    output_.counts = &memory_;
  }

  RoutePlan Plan(const RouteSpec& spec) {
    input_.logits_stride = output_.dense_map_stride = spec.num_experts;
    output_.ids_stride = output_.weights_stride = spec.top_k;
    return MakeRoutePlan(spec, input_, output_);
  }

  RoutePath Path(const RouteSpec& spec) { return PathOf(Plan(spec)); }

  uint64_t memory_ = 0;
  RouteInput input_;
  RouteOutput output_;
};

TEST_F(RoutePlanTest, WellKnownRoutersAreCompiledFor) {
  for (const int num_experts : {128, 256, 384, 512}) {
    EXPECT_EQ(Path(Sigmoid(num_experts)), RoutePath::kSigmoid) << num_experts;
    EXPECT_EQ(Path(ChosenSoftmax(num_experts)), RoutePath::kChosenSoftmax) << num_experts;
  }
  for (const int num_experts : {128, 256, 512}) {
    EXPECT_EQ(Path(GroupedSigmoid(num_experts, num_experts / 32)), RoutePath::kGroupedSigmoid) << num_experts;
  }
  input_.bias = nullptr;
  EXPECT_EQ(Path(Sigmoid(256)), RoutePath::kSigmoid);
}

TEST_F(RoutePlanTest, OthersAreNot) {
  EXPECT_EQ(Path(Sigmoid(160)), RoutePath::kAny);
  EXPECT_EQ(Path(GroupedSigmoid(256, 4)), RoutePath::kAny);
  EXPECT_EQ(Path(GroupedSigmoid(384, 12)), RoutePath::kAny);
  RouteSpec scaled = Sigmoid(256);
  scaled.scale_before_bias = true;
  EXPECT_EQ(Path(scaled), RoutePath::kAny);
  input_.forced.mode = ForcedBalance::Mode::kRoundRobin;
  EXPECT_EQ(Path(Sigmoid(256)), RoutePath::kAny);
}

TEST_F(RoutePlanTest, OtherOutputsAreNotCompiledFor) {
  output_.dense_map = reinterpret_cast<uint8_t*>(&memory_);
  EXPECT_EQ(Path(Sigmoid(256)), RoutePath::kAny);
  output_.dense_map = nullptr;
  output_.id_type = IdType::kInt64;
  EXPECT_EQ(Path(Sigmoid(256)), RoutePath::kAny);
  output_.id_type = IdType::kInt32;
  output_.counts = nullptr;
  EXPECT_EQ(Path(Sigmoid(256)), RoutePath::kAny);
}

TEST_F(RoutePlanTest, GroupsOfEverySizeArePruned) {
  EXPECT_TRUE(Plan(GroupedSigmoid(256, 8)).groups_in_registers);
  struct Case {
    int num_experts;
    int num_groups;
    int lane_bits;
  };
  for (const Case& c : {Case{384, 12, 1}, {384, 8, 2}, {160, 8, 2}, {72, 6, 2}, {60, 3, 3}, {560, 28, 0}, {96, 2, 4}}) {
    const RoutePlan plan = Plan(GroupedSigmoid(c.num_experts, c.num_groups));
    EXPECT_TRUE(plan.prunes) << c.num_experts;
    EXPECT_FALSE(plan.groups_in_registers) << c.num_experts;
    EXPECT_EQ(plan.group_lane_bits, c.lane_bits) << c.num_experts;
  }
}

TEST_F(RoutePlanTest, WhatOnlyExactKeysRankIsNotPruned) {
  EXPECT_FALSE(Plan(GroupedSigmoid(512, 64)).prunes);
  RouteSpec spec = GroupedSigmoid(384, 4);
  spec.group_score = GroupScore::kTopkSum;
  EXPECT_FALSE(Plan(spec).prunes);  // by four experts
  spec.group_score = GroupScore::kMax;
  EXPECT_TRUE(Plan(spec).prunes);
  spec.group_score_biased = false;
  EXPECT_FALSE(Plan(spec).prunes);
  input_.bias = nullptr;
  EXPECT_TRUE(Plan(spec).prunes);
}

TEST_F(RoutePlanTest, RowsThatAreNotWantedDoNotMoveOn) {
  input_.logits_dtype = DType::kBF16;
  input_.logits_stride = 300;
  output_.id_type = IdType::kInt64;
  output_.ids_stride = 9;
  output_.weights = nullptr;
  output_.weights_stride = 9;
  const RowBytes step = Times(5, MakeRoutePlan(Sigmoid(256), input_, output_).row_bytes);
  EXPECT_EQ(step.logits, 5 * 300 * 2);
  EXPECT_EQ(step.ids, 5 * 9 * 8);
  EXPECT_EQ(step.weights, 0);
}

}  // namespace
}  // namespace evenkeel::routing
