#include "tools/load_rows.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tools/test_job.h"

namespace evenkeel::tools {
namespace {

using testing::ElementsAre;
using testing::IsNan;

TEST(LoadRowsTest, ALoadIsACountOverTheWantedOne) {
  EXPECT_THAT(LoadsOf({0, 1, 2, 5}), ElementsAre(0, .5, 1, 2.5));
  EXPECT_THAT(LoadsOf({2, 2, 4}, {.5f, .25f, -1.f}), ElementsAre(.5, 1, IsNan()));
}

TEST(LoadRowsTest, WithoutCountsThereAreNoLoads) { EXPECT_THAT(LoadsOf({0, 0}), ElementsAre(IsNan(), IsNan())); }

TEST(LoadRowsTest, RowsAreInTheOrderOfTheirNumbers) {
  v1::JobState state = TestState(TestSpec({"l.10", "l.9"}), {{1, 2, 3, 4}, {5, 6, 7, 8}});
  v1::LayerState* layer = state.mutable_layers(0);
  ASSERT_EQ(layer->layer(), "l.10");
  for (int i = 0; i < 4; ++i) layer->set_last_counts(i, static_cast<uint64_t>(i));
  layer->set_last_tokens(3);
  const auto rows = LoadRowsOf(state);
  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_EQ(rows->size(), 2);
  EXPECT_EQ((*rows)[0].layer, "l.9");
  EXPECT_THAT((*rows)[0].bias, ElementsAre(5, 6, 7, 8));
  EXPECT_EQ((*rows)[1].layer, "l.10");
  EXPECT_EQ((*rows)[1].top_k, 2);
  EXPECT_EQ((*rows)[1].tokens, 3);
  EXPECT_THAT((*rows)[1].counts, ElementsAre(0, 1, 2, 3));
  EXPECT_FLOAT_EQ((*rows)[1].loads[3], 2);
}

TEST(LoadRowsTest, ATargetIsWhatIsWanted) {
  v1::JobSpec spec = TestSpec({"a"});
  for (const float share : {.5f, .25f, .25f, -1.f}) spec.mutable_balance()->add_target(share);
  v1::JobState state = TestState(spec, {{0, 0, 0, 0}});
  for (int i = 0; i < 4; ++i) state.mutable_layers(0)->set_last_counts(i, 25);
  const auto rows = LoadRowsOf(state);
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_THAT((*rows)[0].loads, ElementsAre(.5, 1, 1, IsNan()));
}

}  // namespace
}  // namespace evenkeel::tools
