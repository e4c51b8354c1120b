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
  options.rank = 1;
  options.world_size = 2;
  options.layers = {{"b", 2, 1, "score: SIGMOID"}, {"a", 3, 2, ""}};
  return options;
}

absl::StatusOr<v1::JoinRequest> Request(const WorkerOptions& options, uint64_t incarnation) {
  const LayerTable layers = *LayerTable::Make(options.layers);
  return MakeJoinRequest(options, *GroupOf(options.group, options.rank, options.world_size), layers, incarnation);
}

TEST(MakeJoinRequestTest, SaysWhoJoinsWhat) {
  WorkerOptions options = TwoLayers();
  options.balance = R"({"preset": "loss_free", "rate": 0.5})";
  const LayerTable layers = *LayerTable::Make(options.layers);
  const absl::StatusOr<v1::JoinRequest> join = Request(options, 0xfeed);
  ASSERT_TRUE(join.ok()) << join.status();
  EXPECT_EQ(join->protocol_version(), 1);
  EXPECT_EQ(join->contributor(), 1);
  EXPECT_THAT(join->ranks(), IsEmpty());
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
  EXPECT_FALSE(Request(options, 1)->job().has_balance());
}

TEST(MakeJoinRequestTest, LayersWithStreamsAreLayersAllTheSame) {
  WorkerOptions options = TwoLayers();
  LayerOptions& first = options.layers[options.layers[0].name == "a" ? 0 : 1];
  first.streams = 3;
  first.counts_dispatched = true;
  const absl::StatusOr<v1::JoinRequest> join = Request(options, 1);
  ASSERT_TRUE(join.ok()) << join.status();
  ASSERT_EQ(join->job().layers_size(), 2);
  EXPECT_EQ(join->job().layers(0).name(), "a");
  EXPECT_EQ(join->job().layers(0).streams(), 3);
  EXPECT_TRUE(join->job().layers(0).counts_dispatched());
  EXPECT_EQ(join->job().layers(1).name(), "b");
  EXPECT_EQ(join->job().layers(1).streams(), 0);
}

TEST(MakeJoinRequestTest, AGroupIsOneContributor) {
  WorkerOptions options = TwoLayers();
  options.rank = 3;
  options.world_size = 4;
  options.group.name = "ep";
  options.group.expert_parallel_size = 2;
  const absl::StatusOr<v1::JoinRequest> join = Request(options, 1);
  EXPECT_EQ(join->contributor(), 1);
  EXPECT_EQ(join->job().contributors(), 2);
  EXPECT_THAT(join->ranks(), ElementsAre(2, 3));
}

TEST(MakeJoinRequestTest, RefusesWhatIsWrongAndNamesIt) {
  const auto expect_refused = [](const WorkerOptions& options, const std::string& named) {
    const absl::StatusOr<v1::JoinRequest> join = Request(options, 1);
    EXPECT_EQ(join.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(join.status().message()), HasSubstr(named));
  };
  WorkerOptions options = TwoLayers();
  options.job = "";
  expect_refused(options, "job");
  options = TwoLayers();
  options.next_step = 0;
  expect_refused(options, "next_step");
  options = TwoLayers();
  options.balance = R"({"rte": 0.5})";
  expect_refused(options, "rte");
}

TEST(MakeJoinRequestTest, AStageNamesTheLayersThatItOwns) {
  WorkerOptions options = TwoLayers();
  options.rank = 1;
  options.world_size = 2;
  const auto owned_by = [&options] {
    const LayerTable layers = *LayerTable::Make(options.layers);
    const Group group = *GroupOf(options.group, options.rank, options.world_size);
    return MakeJoinRequest(options, group, layers, 1)->owned_layers();
  };
  EXPECT_THAT(owned_by(), ElementsAre()) << "all of them";
  options.layers[0].owned = false;
  EXPECT_THAT(owned_by(), ElementsAre(options.layers[1].name));
  // Ranks that are one contributor own together what each of them owns.
  options.group.name = "world";
  EXPECT_THAT(owned_by(), ElementsAre());
}

}  // namespace
}  // namespace evenkeel::client
