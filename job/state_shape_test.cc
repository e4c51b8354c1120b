#include "job/state_shape.h"

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "job/test_state.h"

namespace evenkeel::job {
namespace {

using ::testing::HasSubstr;

TEST(StateShapeTest, AcceptsWhatACommitLeaves) {
  EXPECT_EQ(CheckStateShape(TestState("job", 5)), absl::OkStatus());
  EXPECT_EQ(CheckStateShape(TestState("job", 1, /*layers=*/1, /*experts=*/2)), absl::OkStatus());
}

TEST(StateShapeTest, AcceptsAStateThatNoStepHasTouched) {
  v1::JobState state = TestState("job", 1);
  state.clear_last_commit();
  state.set_position(0);
  state.mutable_version()->set_step(0);
  for (v1::LayerState& layer : *state.mutable_layers()) {
    layer.clear_last_commit();
    layer.clear_last_update();
  }
  state.clear_move();
  EXPECT_EQ(CheckStateShape(state), absl::OkStatus());
}

TEST(StateShapeTest, AcceptsTheMomentumOfARuleThatHasOne) {
  v1::JobState state = TestState("job", 5);
  *state.mutable_layers(0)->mutable_momentum() = state.layers(0).ema();
  EXPECT_EQ(CheckStateShape(state), absl::OkStatus());
}

TEST(StateShapeTest, WantsAnEntryForEachStream) {
  v1::JobState state = TestState("job", 5, /*layers=*/1);
  state.mutable_spec()->mutable_layers(0)->set_streams(2);
  EXPECT_THAT(std::string(CheckStateShape(state).message()), HasSubstr("there is none for \"layer.1000\" stream 1"));
  *state.add_layers() = state.layers(0);
  state.mutable_layers(1)->set_stream(1);
  state.mutable_move()->add_layers();
  EXPECT_EQ(CheckStateShape(state), absl::OkStatus());
}

TEST(StateShapeTest, NamesTheFieldThatIsWrongAndItsValue) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<std::pair<std::string, std::function<void(v1::JobState*)>>> cases = {
      {"spec.name is empty", [](auto* s) { s->mutable_spec()->clear_name(); }},
      {"spec.contributors is 0", [](auto* s) { s->mutable_spec()->clear_contributors(); }},
      {"spec.layers is empty", [](auto* s) { s->mutable_spec()->clear_layers(); }},
      {"\"a\" comes after \"layer.1000\"", [](auto* s) { s->mutable_spec()->mutable_layers(1)->set_name("a"); }},
      {"\"layer.1000\" comes after \"layer.1000\"",
       [](auto* s) { s->mutable_spec()->mutable_layers(1)->set_name("layer.1000"); }},
      {"num_experts 0", [](auto* s) { s->mutable_spec()->mutable_layers(0)->set_num_experts(0); }},
      {"num_experts 16385", [](auto* s) { s->mutable_spec()->mutable_layers(0)->set_num_experts(16385); }},
      {"top_k 9", [](auto* s) { s->mutable_spec()->mutable_layers(0)->set_top_k(9); }},
      {"top_k 0", [](auto* s) { s->mutable_spec()->mutable_layers(0)->set_top_k(0); }},
      {"position is 6, after version.step 5", [](auto* s) { s->set_position(6); }},
      {"layers has 1 entries; there is none for \"layer.1001\"", [](auto* s) { s->mutable_layers()->RemoveLast(); }},
      {"layers has 3 entries; the spec 2", [](auto* s) { *s->add_layers() = s->layers(0); }},
      {"layers[0] is of \"layer.1001\"", [](auto* s) { s->mutable_layers()->SwapElements(0, 1); }},
      {"layers[1] is of \"layer.1001\" stream 1", [](auto* s) { s->mutable_layers(1)->set_stream(1); }},
      {"layers[1].bias has 7 entries for 8 experts",
       [](auto* s) { s->mutable_layers(1)->mutable_bias()->RemoveLast(); }},
      {"layers[1].bias has 0 entries", [](auto* s) { s->mutable_layers(1)->clear_bias(); }},
      {"layers[1].ema has 9 entries", [](auto* s) { s->mutable_layers(1)->add_ema(0); }},
      {"layers[0].momentum has 1 entries", [](auto* s) { s->mutable_layers(0)->add_momentum(0); }},
      {"layers[0].pending_counts has 9 entries", [](auto* s) { s->mutable_layers(0)->add_pending_counts(0); }},
      {"layers[0].pending_counts has 0 entries", [](auto* s) { s->mutable_layers(0)->clear_pending_counts(); }},
      {"layers[0].momentum[2] is nan",
       [&](auto* s) {
         *s->mutable_layers(0)->mutable_momentum() = s->layers(0).ema();
         s->mutable_layers(0)->set_momentum(2, nan);
       }},
      {"layers[0].last_counts has 9 entries", [](auto* s) { s->mutable_layers(0)->add_last_counts(0); }},
      {"layers[0].last_dispatched has 1 entries for 0 experts",
       [](auto* s) { s->mutable_layers(0)->add_last_dispatched(0); }},
      {"layers[1].last_dispatched has 0 entries for 8 experts",
       [](auto* s) { s->mutable_spec()->mutable_layers(1)->set_counts_dispatched(true); }},
      {"\"layer.1000\" has streams 17; 0 to 16",
       [](auto* s) { s->mutable_spec()->mutable_layers(0)->set_streams(17); }},
      {"\"layer.1000\" has streams -1", [](auto* s) { s->mutable_spec()->mutable_layers(0)->set_streams(-1); }},
      {"layers[0].bias[3] is nan", [&](auto* s) { s->mutable_layers(0)->set_bias(3, nan); }},
      {"layers[0].ema[7] is -inf", [&](auto* s) { s->mutable_layers(0)->set_ema(7, -infinity); }},
      {"layers[0].ema_product is 1.5", [](auto* s) { s->mutable_layers(0)->set_ema_product(1.5); }},
      {"layers[0].ema_product is nan", [&](auto* s) { s->mutable_layers(0)->set_ema_product(nan); }},
      {"layers[0].last_commit is 6, after step 5", [](auto* s) { s->mutable_layers(0)->set_last_commit(6); }},
      {"layers[0].last_update is 5, after last_commit 4", [](auto* s) { s->mutable_layers(0)->set_last_commit(4); }},
      {"last_commit.participants: 2", [](auto* s) { s->mutable_last_commit()->add_participants(2); }},
      {"last_commit.participants: 1 comes after 1", [](auto* s) { s->mutable_last_commit()->add_participants(1); }},
      {"last_commit.stale_versions: step 5 comes after 0 steps; they ascend, below version.step 5",
       [](auto* s) { s->mutable_last_commit()->add_stale_versions()->set_step(5); }},
      {"last_commit.stale_versions: step 2 comes after 3 steps",
       [](auto* s) {
         for (int i = 0; i < 2; ++i) s->mutable_last_commit()->add_stale_versions()->set_step(2);
       }},
      {"move.base_step is 5; below version.step 5", [](auto* s) { s->mutable_move()->set_base_step(5); }},
      {"move.routed_with.step is 5, after base_step 4",
       [](auto* s) { s->mutable_move()->mutable_routed_with()->set_step(5); }},
      {"move.layers has 1 entries, layers 2", [](auto* s) { s->mutable_move()->mutable_layers()->RemoveLast(); }},
      {"move.layers[1].counts has 1 entries for 8 experts",
       [](auto* s) { s->mutable_move()->mutable_layers(1)->add_counts(1); }},
      {"last_commit.participants: -1", [](auto* s) { s->mutable_last_commit()->set_participants(0, -1); }},
  };
  for (const auto& [message, damage] : cases) {
    v1::JobState state = TestState("job", 5);
    damage(&state);
    const absl::Status status = CheckStateShape(state);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << message;
    EXPECT_THAT(std::string(status.message()), HasSubstr(message));
  }
}

}  // namespace
}  // namespace evenkeel::job
