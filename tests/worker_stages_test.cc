// Stages of a pipeline: workers that own some of the layers, alone and in groups.

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "evenkeel/worker.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/counted_tokens.h"
#include "tests/counting_bench.h"
#include "tests/http_get.h"

namespace evenkeel::tests {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kSteps = 60;

class WorkerStagesTest : public CountingBench {
 protected:
  // In this process, one of two, which own `owned` of kCountedLayers.
  WorkerOptions OptionsOf(int rank, const std::vector<bool>& owned) const {
    WorkerOptions options;
    options.coordinator = coordinator_->address();
    options.job = "stages";
    options.rank = rank;
    options.world_size = 2;
    for (int layer = 0; layer < kNumCountedLayers; ++layer) {
      const CountedLayer& counted = kCountedLayers[layer];
      options.layers.push_back(
          {counted.name, counted.num_experts, kCountedTopK, R"({"score": "SIGMOID"})", owned[layer]});
    }
    return options;
  }
};

TEST_F(WorkerStagesTest, RanksByThemselves) {
  for (const std::string lag : {"0", "1"}) {
    SCOPED_TRACE(absl::StrCat("lag ", lag));
    StartJob({{{0}, {0, 1}}, {{1}, {0, 1}}, {{2}, {2}}, {{3}, {2}}}, kSteps, {{"on_loss", "wait"}, {"lag", lag}});
    GoToTheEnd();
    ExpectReferenceAtTheEnd();
  }
}

TEST_F(WorkerStagesTest, GroupsWithinAStage) {
  for (const std::string lag : {"0", "1"}) {
    SCOPED_TRACE(absl::StrCat("lag ", lag));
    StartJob({{{0, 1}, {0, 1}}, {{2, 3}, {2}}}, kSteps, {{"on_loss", "wait"}, {"lag", lag}});
    GoToTheEnd();
    ExpectReferenceAtTheEnd();
  }
}

TEST_F(WorkerStagesTest, StagesThatHoldThroughAnOutage) {
  StartJob({{{0, 1}, {0, 1}}, {{2, 3}, {2}}}, kSteps, {{"on_loss", "hold"}, {"patience_ms", "200"}});
  GoTo(10);
  ASSERT_TRUE(AwaitLines(10));
  KillCoordinator();
  GoTo(40);
  ASSERT_TRUE(AwaitLines(40));
  StartCoordinator();
  AwaitCommitted(40);
  ExpectReferenceAtTheEnd();
  EXPECT_GE(Lines(2)[39].staleness, 28);
}

TEST_F(WorkerStagesTest, Pitfall29TheLayersOfAllStagesAreOnOnePage) {
  StartJob({{{0, 1}, {0, 1}}, {{2, 3}, {2}}}, kSteps, {{"on_loss", "wait"}});
  GoToTheEnd();
  ExpectReferenceAtTheEnd();
  const absl::StatusOr<std::string> page = HttpGet(coordinator_->metrics_address(), "/metrics");
  ASSERT_TRUE(page.ok()) << page.status();
  for (const CountedLayer& layer : kCountedLayers) {
    for (const char* metric : {"evenkeel_layer_max_violation_ratio", "evenkeel_layer_last_update_step"}) {
      for (int stream = 0; stream < layer.streams; ++stream) {
        const std::string label = layer.streams > 1 ? absl::StrCat(",stream=\"", stream, "\"") : "";
        EXPECT_THAT(*page,
                    HasSubstr(absl::StrCat(metric, "{job=\"", job_, "\",layer=\"", layer.name, "\"", label, "} ")));
      }
    }
  }
}

TEST_F(WorkerStagesTest, ALayerThatNobodyOwnsIsRefusedByName) {
  const auto first = Worker::Join(OptionsOf(0, {true, false, false}));
  ASSERT_TRUE(first.ok()) << first.status().message();
  const auto last = Worker::Join(OptionsOf(1, {true, true, false}));
  EXPECT_EQ(last.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(last.status().message(), HasSubstr("none owns layer \"model.layers.2.gate\""));
}

TEST_F(WorkerStagesTest, CountingALayerThatIsNotOwnedIsRefused) {
  auto joined = Worker::Join(OptionsOf(0, {true, true, false}));
  ASSERT_TRUE(joined.ok()) << joined.status().message();
  Worker& worker = **joined;
  ASSERT_TRUE(worker.BeginStep(1).ok());
  const std::vector<uint64_t> counts(kCountedLayers[2].num_experts);
  const std::vector<float> logits(kCountedLayers[2].num_experts);
  const int32_t ids[] = {0, 1};
  for (const Status& status :
       {worker.AddCounts(2, counts.data(), 0), worker.Count(2, ids, 1), worker.Route(2, {1, logits.data()}, {})}) {
    EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
    EXPECT_THAT(status.message(), HasSubstr("layer \"model.layers.2.gate\" is not owned by this worker"));
  }
  EXPECT_NE(worker.bias(2), nullptr) << "every worker has the bias of all layers";
}

}  // namespace
}  // namespace evenkeel::tests
