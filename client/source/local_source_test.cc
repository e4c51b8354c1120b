#include "client/source/local_source.h"

#include <string>
#include <utility>
#include <vector>

#include "client/source/payload_counts.h"
#include "client/source/rank_checks.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "job/reference_model.h"
#include "job/test_messages.h"

namespace evenkeel::client {
namespace {

using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

v1::JobSpec SpecWith(const std::string& preset) {
  v1::JobSpec spec = job::TestSpec(/*contributors=*/1);
  spec.mutable_balance()->set_preset(preset);
  return spec;
}

TEST(LocalSourceTest, HasTheTrajectoryOfTheReference) {
  for (const std::string preset : {"loss_free", "torchtitan", "axolotl_noaux_tc", "evenkeel"}) {
    SCOPED_TRACE(preset);
    const v1::JobSpec spec = SpecWith(preset);
    const job::JobPlan plan = job::TestPlan(spec);
    const job::ReferenceModel model(&plan, {/*seed=*/5, {{0, 1}}, /*one_skip_in=*/9, /*scale=*/1});
    const std::vector<job::JobState> trajectory = model.Trajectory(60);

    auto source = LocalSource::Make(spec);
    ASSERT_TRUE(source.ok()) << source.status();
    StepCountsPool pool = PoolOf(plan.layers);
    v1::JoinResponse joined;
    ASSERT_TRUE((*source)->Join(1, Deadline(), &joined).ok());
    EXPECT_EQ(joined.version().state_hash(), job::StateHash(trajectory[0]));
    EXPECT_EQ(joined.effective().SerializeAsString(), plan.effective.SerializeAsString());
    v1::CommittedVersion version;
    for (uint64_t step = 1; step <= 60; ++step) {
      (*source)->Push(CountsOf(model.Payload(0, step), step, &pool));
      ASSERT_EQ((*source)->Await(step + 1, Deadline(), &version), absl::StatusOr<bool>(true));
      ASSERT_EQ(version.state_hash(), job::StateHash(trajectory[step])) << "step " << step;
      ASSERT_EQ(version.version().step(), step);
      ASSERT_EQ(version.ok(), trajectory[step].ok);
    }
    EXPECT_EQ((*source)->Leave(Deadline(), &version), absl::StatusOr<bool>(false)) << "all is given";
  }
}

TEST(LocalSourceTest, WithALagEveryVersionComesAStepLater) {
  v1::JobSpec spec = SpecWith("evenkeel");
  spec.set_lag(1);
  const job::JobPlan plan = job::TestPlan(spec);
  const job::ReferenceModel model(&plan, {/*seed=*/6, {{0, 1}}, /*one_skip_in=*/9, /*scale=*/1});
  const std::vector<job::JobState> trajectory = model.Trajectory(20);
  auto source = LocalSource::Make(spec);
  ASSERT_TRUE(source.ok()) << source.status();
  StepCountsPool pool = PoolOf(plan.layers);
  v1::CommittedVersion version;
  for (uint64_t step = 1; step <= 20; ++step) {
    (*source)->Push(CountsOf(model.Payload(0, step), step, &pool));
    ASSERT_EQ((*source)->Await(step + 1, Deadline(), &version), absl::StatusOr<bool>(step > 1));
    if (step > 1) {
      ASSERT_EQ(version.state_hash(), job::StateHash(trajectory[step - 1])) << "step " << step;
    }
  }
  ASSERT_EQ((*source)->Leave(Deadline(), &version), absl::StatusOr<bool>(true));
  EXPECT_EQ(version.state_hash(), job::StateHash(trajectory[20]));
}

TEST(LocalSourceTest, WithoutABalanceConfigIsThePresetEvenkeel) {
  v1::JobSpec open = SpecWith("evenkeel");
  open.clear_balance();
  v1::CommittedVersion versions[2];
  for (int i = 0; i < 2; ++i) {
    auto source = LocalSource::Make(i == 0 ? open : SpecWith("evenkeel"));
    ASSERT_TRUE(source.ok()) << source.status();
    StepCountsPool pool = PoolOf(job::TestPlan(open).layers);
    StepCountsPtr counts = pool.Take();
    counts->step = 1;
    counts->mutable_counts()[1] = 10;
    counts->mutable_totals()[0].tokens = 5;
    (*source)->Push(std::move(counts));
    ASSERT_TRUE((*source)->Await(2, Deadline(), &versions[i]).ok());
  }
  EXPECT_THAT(versions[0].bias(), ElementsAreArray(versions[1].bias()));
  EXPECT_NE(versions[0].bias(0), 0.0f);
}

TEST(LocalSourceTest, Pitfall37BeginsWithTheBiasThatTheModelBrings) {
  const std::vector<float> bias = {1, -2, 0.5, 0, 3, 0, -3};
  auto source = LocalSource::Make(SpecWith("loss_free"), bias);
  ASSERT_TRUE(source.ok()) << source.status();
  v1::JoinResponse joined;
  ASSERT_TRUE((*source)->Join(1, Deadline(), &joined).ok());
  EXPECT_THAT(joined.version().bias(), ElementsAreArray(bias));
  EXPECT_FALSE(LocalSource::Make(SpecWith("loss_free"), absl::MakeConstSpan(bias).first(3)).ok());
}

TEST(LocalSourceTest, RefusesToGoOnFromWhatNobodyHasKept) {
  auto source = LocalSource::Make(SpecWith("evenkeel"));
  v1::JoinResponse joined;
  const absl::Status refused = (*source)->Join(101, Deadline(), &joined);
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("next_step is 101"));
}

TEST(LocalSourceTest, RefusesWhatIsNoJob) {
  v1::JobSpec spec = SpecWith("evenkeel");
  spec.mutable_balance()->set_momentum(1.5);
  const auto source = LocalSource::Make(spec);
  EXPECT_EQ(source.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(source.status().message()), HasSubstr("momentum"));
}

// With each lag, by the bias that is due.
TEST(LocalSourceTest, Pitfall07ARankWithAnotherBiasIsAFinalErrorThatNamesIt) {
  for (const int lag : {0, 1}) {
    v1::JobSpec spec = SpecWith("loss_free");
    spec.set_lag(lag);
    const job::JobPlan plan = job::TestPlan(spec);
    auto source = LocalSource::Make(spec, /*initial_bias=*/{}, /*ranks=*/{4, 6});
    StepShape shape = {plan.layers.total_experts(), plan.layers.size()};
    shape.ranks = 2;
    StepCountsPool pool([&] { return std::make_unique<StepCounts>(shape); });
    v1::JoinResponse joined;
    ASSERT_TRUE((*source)->Join(1, Deadline(), &joined).ok());
    v1::CommittedVersion version = joined.version();
    for (uint64_t step = 1; step <= 6; ++step) {
      StepCountsPtr counts = pool.Take();
      std::fill(counts->sums().begin(), counts->sums().end(), 0);
      counts->step = step;
      counts->mutable_counts()[step % 2] = counts->mutable_totals()[0].tokens = 8 * step;
      WriteCheck(/*place=*/0, version.bias(), counts.get());
      WriteCheck(/*place=*/1, step == 5 ? joined.version().bias() : version.bias(), counts.get());
      (*source)->Push(std::move(counts));
      const absl::Status status = (*source)->Await(step + 1, Deadline(), &version).status();
      ASSERT_EQ(status.ok(), step < 5) << "lag " << lag << ", step " << step << ": " << status;
      if (status.ok()) continue;
      EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
      EXPECT_THAT(std::string(status.message()), HasSubstr("step 5: the bias of rank 6 is not"));
    }
  }
}

TEST(LocalSourceTest, AnErrorIsForGood) {
  auto source = LocalSource::Make(SpecWith("evenkeel"));
  StepCountsPool pool = PoolOf(job::TestPlan(SpecWith("evenkeel")).layers);
  v1::CommittedVersion version;
  for (uint64_t step = 1; step <= 2; ++step) {
    StepCountsPtr counts = pool.Take();
    counts->step = step;
    counts->mutable_totals()[0].tokens = step == 1 ? uint64_t{1} << 48 : 0;
    (*source)->Push(std::move(counts));
    const absl::Status status = (*source)->Await(step + 1, Deadline(), &version).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
    EXPECT_THAT(std::string(status.message()), HasSubstr("layer \"a\""));
  }
  EXPECT_FALSE((*source)->Leave(Deadline(), &version).ok());
}

}  // namespace
}  // namespace evenkeel::client
