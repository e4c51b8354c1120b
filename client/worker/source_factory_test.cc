#include "client/worker/source_factory.h"

#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/worker/layer_table.h"
#include "client/worker/messages.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace evenkeel::client {
namespace {

using ::testing::HasSubstr;

Deadline Soon() { return std::chrono::steady_clock::now() + std::chrono::seconds(60); }

WorkerOptions Options() {
  WorkerOptions options;
  options.coordinator = "";
  options.job = "run";
  options.layers = {{"layer", 4, 2, ""}};
  return options;
}

absl::StatusOr<std::unique_ptr<BiasSource>> Make(const WorkerOptions& options) {
  const LayerTable layers = *LayerTable::Make(options.layers);
  const Group group = *GroupOf(options.group, options.rank, options.world_size);
  absl::StatusOr<WorkerSource> made =
      MakeWorkerSource(options, group, *MakeJoinRequest(options, group, layers, 17 + options.rank), nullptr);
  if (!made.ok()) return made.status();
  return std::move(made->source);
}

void ExpectRefused(const WorkerOptions& options, const std::string& why) {
  const auto source = Make(options);
  EXPECT_EQ(source.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(source.status().message()), HasSubstr(why));
}

// A folder of this test's.
std::string Store() {
  std::string folder = absl::StrCat(getenv("TEST_TMPDIR"), "/store-XXXXXX");
  return absl::StrCat("file://", mkdtemp(folder.data()));
}

TEST(MakeWorkerSourceTest, OneRankAloneCommitsByItself) {
  const auto source = Make(Options());
  ASSERT_TRUE(source.ok()) << source.status();
  v1::JoinResponse joined;
  ASSERT_TRUE((*source)->Join(1, Soon(), &joined).ok());
  EXPECT_EQ(joined.version().bias_size(), 4);
}

TEST(MakeWorkerSourceTest, ReplicasThatWouldDivergeAreRefusedUnlessAskedFor) {
  WorkerOptions options = Options();
  options.world_size = 4;
  ExpectRefused(options, "without a coordinator, 1 of 4 ranks would move their bias by their own counts");
  options.group.name = "ep";
  options.group.expert_parallel_size = 2;
  options.group.store = Store();
  ExpectRefused(options, "without a coordinator, 2 of 4 ranks");
  options.group.allow_divergence = true;
  EXPECT_TRUE(Make(options).ok());
  options.group.allow_divergence = false;
  options.coordinator = "127.0.0.1:1";
  EXPECT_TRUE(Make(options).ok());
}

TEST(MakeWorkerSourceTest, AGroupNeedsAPlaceToMeet) {
  WorkerOptions options = Options();
  options.world_size = 2;
  options.group.name = "world";
  ExpectRefused(options, "group.store is empty");
  options.group.store = "ftp://host";
  ExpectRefused(options, "ftp://host");
}

TEST(MakeWorkerSourceTest, RanksTalkOverTheInterfaceThatIsNamed) {
  const std::string store = Store();
  StepCountsPool pool([] { return std::make_unique<StepCounts>(StepShape{4, 1}); });
  std::vector<std::thread> ranks;
  for (int rank = 0; rank < 2; ++rank) {
    ranks.emplace_back([&store, &pool, rank] {
      WorkerOptions options = Options();
      options.rank = rank;
      options.world_size = 2;
      options.group.name = "world";
      options.group.store = store;
      options.group.timeout = std::chrono::seconds(2);
      if (rank == 1) options.group.interface = "no-such-interface";
      const auto source = Make(options);
      ASSERT_TRUE(source.ok()) << source.status();
      v1::JoinResponse joined;
      ASSERT_EQ((*source)->Join(1, Soon(), &joined), absl::OkStatus());
      StepCountsPtr counts = pool.Take();
      counts->step = 1;
      (*source)->Push(std::move(counts));
      v1::CommittedVersion version;
      const absl::Status status = (*source)->Await(2, Soon(), &version).status();
      EXPECT_FALSE(status.ok());
      EXPECT_THAT(std::string(status.message()), HasSubstr(rank == 1 ? "no-such-interface" : ""));
    });
  }
  for (std::thread& rank : ranks) rank.join();
}

}  // namespace
}  // namespace evenkeel::client
