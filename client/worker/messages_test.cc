#include "client/worker/messages.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/routing/cpu/cpu_router.h"

namespace evenkeel::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

WorkerOptions TwoLayers() {
  WorkerOptions options;
  options.job = "run";
  options.contributor = 1;
  options.contributors = 2;
  options.layers = {{"b", 2, 1, "score: SIGMOID"}, {"a", 3, 2, ""}};
  return options;
}

TEST(MakeJoinRequestTest, SaysWhoJoinsWhat) {
  WorkerOptions options = TwoLayers();
  options.balance = R"({"preset": "loss_free", "rate": 0.5})";
  const LayerTable layers = *LayerTable::Make(options.layers);
  const absl::StatusOr<v1::JoinRequest> join = MakeJoinRequest(options, layers, 0xfeed);
  ASSERT_TRUE(join.ok()) << join.status();
  EXPECT_EQ(join->protocol_version(), 1);
  EXPECT_EQ(join->contributor(), 1);
  EXPECT_EQ(join->incarnation(), 0xfeed);
  EXPECT_EQ(join->job().name(), "run");
  EXPECT_EQ(join->job().contributors(), 2);
  ASSERT_EQ(join->job().layers_size(), 2);
  EXPECT_EQ(join->job().layers(0).name(), "a");
  EXPECT_FALSE(join->job().layers(0).has_route());
  EXPECT_EQ(join->job().layers(1).route().num_experts(), 2);
  EXPECT_EQ(join->job().balance().preset(), "loss_free");
  EXPECT_EQ(join->job().balance().rate(), 0.5);
  EXPECT_THAT(join->worker().routing_paths(), ElementsAre("", routing::CpuRoutePath(*layers[0].route)));
  EXPECT_GT(join->worker().process_id(), 0);
}

TEST(MakeJoinRequestTest, WithoutABalanceConfigTheCoordinatorChooses) {
  const WorkerOptions options = TwoLayers();
  EXPECT_FALSE(MakeJoinRequest(options, *LayerTable::Make(options.layers), 1)->job().has_balance());
}

TEST(MakeJoinRequestTest, RefusesWhatIsWrongAndNamesIt) {
  const auto expect_refused = [](const WorkerOptions& options, const std::string& named) {
    const absl::StatusOr<v1::JoinRequest> join = MakeJoinRequest(options, *LayerTable::Make(options.layers), 1);
    EXPECT_EQ(join.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(join.status().message()), HasSubstr(named));
  };
  WorkerOptions options = TwoLayers();
  options.coordinator = "";
  expect_refused(options, "coordinator");
  options = TwoLayers();
  options.job = "";
  expect_refused(options, "job");
  options = TwoLayers();
  options.contributors = 0;
  expect_refused(options, "contributors is 0");
  options = TwoLayers();
  options.contributor = 2;
  expect_refused(options, "contributor is 2");
  options = TwoLayers();
  options.contributor = -1;
  expect_refused(options, "contributor is -1");
  options = TwoLayers();
  options.next_step = 0;
  expect_refused(options, "next_step");
  options = TwoLayers();
  options.balance = R"({"rte": 0.5})";
  expect_refused(options, "rte");
}

TEST(FillCountsTest, WritesProtocolOrder) {
  const WorkerOptions options = TwoLayers();
  const LayerTable layers = *LayerTable::Make(options.layers);
  std::vector<LayerCounts> counts = {LayerCounts(2, 1), LayerCounts(3, 2)};
  const uint64_t b[] = {1, 2};
  const uint64_t a[] = {5, 4, 1};
  ASSERT_TRUE(counts[0].AddCounts(b, 3, 0).ok());
  ASSERT_TRUE(counts[1].AddCounts(a, 5, 0).ok());
  v1::PushRequest push;
  FillCounts(layers, counts, &push);
  EXPECT_THAT(push.valid_tokens(), ElementsAre(5, 3));
  EXPECT_THAT(push.routed().low(), ElementsAre(5, 4, 1, 1, 2));
  EXPECT_THAT(push.routed().high(), IsEmpty());
  EXPECT_THAT(push.short_slots(), IsEmpty());
}

TEST(FillCountsTest, WritesHighWordsAndShortSlotsOnlyWhereThereAreAny) {
  const WorkerOptions options = TwoLayers();
  const LayerTable layers = *LayerTable::Make(options.layers);
  std::vector<LayerCounts> counts = {LayerCounts(2, 1), LayerCounts(3, 2)};
  const uint64_t b[] = {(uint64_t{7} << 32) + 1, 2};
  const uint64_t a[] = {1, 0, 0};
  ASSERT_TRUE(counts[0].AddCounts(b, (uint64_t{7} << 32) + 3, 0).ok());
  ASSERT_TRUE(counts[1].AddCounts(a, 1, 1).ok());
  v1::PushRequest push;
  FillCounts(layers, counts, &push);
  EXPECT_THAT(push.routed().low(), ElementsAre(1, 0, 0, 1, 2));
  EXPECT_THAT(push.routed().high(), ElementsAre(0, 0, 0, 7, 0));
  EXPECT_THAT(push.short_slots(), ElementsAre(1, 0));

  // The next step, in the same message.
  for (LayerCounts& layer : counts) layer.Clear();
  FillCounts(layers, counts, &push);
  EXPECT_THAT(push.valid_tokens(), ElementsAre(0, 0));
  EXPECT_THAT(push.routed().low(), ElementsAre(0, 0, 0, 0, 0));
  EXPECT_THAT(push.routed().high(), IsEmpty());
  EXPECT_THAT(push.short_slots(), IsEmpty());
}

}  // namespace
}  // namespace evenkeel::client
