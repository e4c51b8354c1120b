#include "server/history/update_trend.h"

#include "gtest/gtest.h"

namespace evenkeel::history {
namespace {

TEST(UpdateTrendTest, TheFirstUpdateIsHeldAgainstWhatTheJobBeganWith) {
  UpdateTrend trend(1, {1, 1, 1});
  trend.Update(0, 0, {1, 1.5, 0.25});
  EXPECT_EQ(trend.rows()[0].largest_update, 0.75);
  EXPECT_EQ(trend.rows()[0].sign_flip_ratio, 0) << "there are no two updates yet";
}

TEST(UpdateTrendTest, FlipsAreOfThoseThatBothUpdatesMoved) {
  UpdateTrend trend(1, {0, 0, 0, 0, 0});
  trend.Update(0, 0, {1, 1, 1, -1, 0});
  trend.Update(0, 0, {2, 0.5, 1, 0, 1});
  // On, back, not moved now, back, not moved before.
  EXPECT_EQ(trend.rows()[0].largest_update, 1);
  EXPECT_DOUBLE_EQ(trend.rows()[0].sign_flip_ratio, 2.0 / 3);
  // Only what the last two did counts.
  trend.Update(0, 0, {3, 0.25, 2, 1, 0});
  EXPECT_DOUBLE_EQ(trend.rows()[0].sign_flip_ratio, 1.0 / 4);
}

TEST(UpdateTrendTest, RowsAreApart) {
  UpdateTrend trend(2, {0, 0, 0, 0, 0});
  trend.Update(1, 2, {0.5, -0.25, 0});
  EXPECT_EQ(trend.rows()[0].largest_update, 0);
  EXPECT_EQ(trend.rows()[1].largest_update, 0.5);
  EXPECT_EQ(trend.bias(), (std::vector<float>{0, 0, 0.5, -0.25, 0}));
  trend.Update(0, 0, {-2, 0});
  EXPECT_EQ(trend.rows()[0].largest_update, 2);
  EXPECT_EQ(trend.rows()[1].largest_update, 0.5);
}

}  // namespace
}  // namespace evenkeel::history
