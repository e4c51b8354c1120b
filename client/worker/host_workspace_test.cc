#include "client/worker/host_workspace.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::client {
namespace {

using ::testing::ElementsAre;

WorkerOptions TwoLayers() {
  WorkerOptions options;
  options.job = "run";
  options.rank = 1;
  options.world_size = 2;
  options.layers = {{"b", 2, 1, "score: SIGMOID"}, {"a", 3, 2, ""}};
  return options;
}

TEST(CopyCountsTest, WritesProtocolOrder) {
  const WorkerOptions options = TwoLayers();
  const LayerTable layers = *LayerTable::Make(options.layers);
  std::vector<LayerCounts> counts = {LayerCounts(2, 1), LayerCounts(3, 2)};
  const uint64_t b[] = {1, 2};
  const uint64_t a[] = {5, 3, 1};
  ASSERT_TRUE(counts[0].AddCounts(b, 3, 0).ok());
  ASSERT_TRUE(counts[1].AddCounts(a, 5, 1).ok());
  StepCounts step({5, 2});
  CopyCounts(layers, counts, &step);
  EXPECT_THAT(step.counts(), ElementsAre(5, 3, 1, 1, 2));
  EXPECT_THAT(step.sums(),
              ElementsAre(5, 3, 1, 1, 2, /*a*/ 5, 1, 0, /*b*/ 3, 0, 0, /*skips, replays*/ 0, 0, /*checks*/ 0, 0));

  // The next step, in the same place.
  for (LayerCounts& layer : counts) layer.Clear();
  CopyCounts(layers, counts, &step);
  EXPECT_THAT(step.sums(), ::testing::Each(0));
}

}  // namespace
}  // namespace evenkeel::client
