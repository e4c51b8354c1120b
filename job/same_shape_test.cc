#include "job/same_shape.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "job/test_messages.h"

namespace evenkeel::job {
namespace {

using ::testing::HasSubstr;

TEST(SameShapeTest, WhatDoesNotTouchTheLayersMayDiffer) {
  v1::JobSpec other = TestSpec(8);
  other.set_name("another");
  other.set_lag(1);
  other.set_mode(v1::JobSpec::Mode::FROZEN);
  other.mutable_balance()->set_rate(0.5);
  EXPECT_EQ(CheckSameShape(TestPlan(TestSpec(1)), TestPlan(other)), absl::OkStatus());
}

TEST(SameShapeTest, TheFirstDifferenceIsNamed) {
  const std::vector<std::pair<std::string, std::function<void(v1::JobSpec*)>>> cases = {
      {"layer \"b\" is in the job and not in the state", [](v1::JobSpec* s) { s->mutable_layers()->RemoveLast(); }},
      {"layer \"c\" is in the state and not in the job",
       [](v1::JobSpec* s) { *s->add_layers() = TestLayer("c", 4, 1); }},
      {"layer \"a\" is in the job and not in the state", [](v1::JobSpec* s) { s->mutable_layers(0)->set_name("aa"); }},
      {"layer \"0\" is in the state and not in the job", [](v1::JobSpec* s) { s->mutable_layers(0)->set_name("0"); }},
      {"layer \"a\" has num_experts 4 in the job and 8 in the state",
       [](v1::JobSpec* s) { s->mutable_layers(0)->set_num_experts(8); }},
      {"layer \"a\" has top_k 2 in the job and 1 in the state",
       [](v1::JobSpec* s) { s->mutable_layers(0)->set_top_k(1); }},
      {"layer \"a\" is moved by another rule than in the state",
       [](v1::JobSpec* s) { s->mutable_balance()->set_preset("loss_free"); }},
  };
  for (const auto& [message, change] : cases) {
    v1::JobSpec other = TestSpec(1);
    change(&other);
    const absl::Status status = CheckSameShape(TestPlan(TestSpec(1)), TestPlan(other));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << message;
    EXPECT_THAT(std::string(status.message()), HasSubstr(message));
  }
}

TEST(SameShapeTest, ABiasOfOtherScoresIsAnother) {
  v1::JobSpec ours = TestSpec(1);
  ours.mutable_layers(0)->mutable_route()->set_num_experts(4);
  ours.mutable_layers(0)->mutable_route()->set_top_k(2);
  ours.mutable_layers(0)->mutable_route()->set_score(v1::RouteSpec::Score::SIGMOID);
  v1::JobSpec theirs = TestSpec(1);
  EXPECT_EQ(CheckSameShape(TestPlan(ours), TestPlan(theirs)), absl::OkStatus()) << "one does not say";
  *theirs.mutable_layers(0)->mutable_route() = ours.layers(0).route();
  theirs.mutable_layers(0)->mutable_route()->set_score(v1::RouteSpec::Score::LOGIT);
  EXPECT_THAT(std::string(CheckSameShape(TestPlan(ours), TestPlan(theirs)).message()),
              HasSubstr("layer \"a\" is routed another way than in the state: modified: score"));
}

}  // namespace
}  // namespace evenkeel::job
