#include "client/source/continuation.h"

#include <string>
#include <vector>

#include "client/source/payload_counts.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "job/reference_model.h"
#include "job/test_messages.h"

namespace evenkeel::client {
namespace {

using ::testing::HasSubstr;

job::JobPlan PlanWith(const std::string& preset) {
  v1::JobSpec spec = job::TestSpec(/*contributors=*/1);
  spec.mutable_balance()->set_preset(preset);
  return job::TestPlan(spec);
}

TEST(ContinuationTest, OfARuleWithoutAMemoryIsTheCanonicalTrajectory) {
  const job::JobPlan plan = PlanWith("loss_free");
  const job::ReferenceModel model(&plan, {/*seed=*/8, {{0, 1}}, /*one_skip_in=*/0, /*scale=*/1});
  const std::vector<job::JobState> trajectory = model.Trajectory(30);
  StepCountsPool pool = PoolOf(plan.layers);
  Continuation continuation(plan, *job::CommittedVersionOf(plan, trajectory[10]));
  EXPECT_EQ(continuation.Version().state_hash(), job::StateHash(trajectory[10]));
  for (uint64_t step = 11; step <= 30; ++step) {
    ASSERT_TRUE(continuation.Advance(*CountsOf(model.Payload(0, step), step, &pool)).ok());
    ASSERT_EQ(continuation.Version().state_hash(), job::StateHash(trajectory[step])) << "step " << step;
    ASSERT_EQ(continuation.Version().version().step(), step);
  }
}

// Averages begin anew: another trajectory than the canonical one, which moves all the same.
TEST(ContinuationTest, OfARuleWithAnAverageMoves) {
  const job::JobPlan plan = PlanWith("evenkeel");
  const job::ReferenceModel model(&plan, {/*seed=*/8, {{0, 1}}, /*one_skip_in=*/0, /*scale=*/1});
  const std::vector<job::JobState> trajectory = model.Trajectory(11);
  StepCountsPool pool = PoolOf(plan.layers);
  Continuation continuation(plan, *job::CommittedVersionOf(plan, trajectory[10]));
  ASSERT_TRUE(continuation.Advance(*CountsOf(model.Payload(0, 11), 11, &pool)).ok());
  EXPECT_NE(continuation.Version().state_hash(), job::StateHash(trajectory[10]));
}

TEST(ContinuationTest, OfAJobThatIsObservedHasNoBias) {
  v1::JobSpec spec = job::TestSpec(/*contributors=*/1);
  spec.set_mode(v1::JobSpec::Mode::OBSERVE);
  const job::JobPlan plan = job::TestPlan(spec);
  Continuation continuation(plan, *job::CommittedVersionOf(plan, job::InitialJobState(plan)));
  StepCounts counts({7, 2});
  counts.step = 1;
  counts.mutable_counts()[0] = 6;
  counts.mutable_totals()[0].tokens = 3;
  ASSERT_TRUE(continuation.Advance(counts).ok());
  EXPECT_EQ(continuation.Version().bias_size(), 0);
  EXPECT_EQ(continuation.Version().state_hash(), 0);
  EXPECT_EQ(continuation.Version().tokens(), 3);
}

TEST(ContinuationTest, AReplayedStepMovesNothing) {
  const job::JobPlan plan = PlanWith("loss_free");
  Continuation continuation(plan, job::InitialJobState(plan));
  const uint64_t before = continuation.Version().state_hash();
  StepCounts counts({7, 2});
  counts.step = 1;
  counts.mutable_counts()[0] = 6;
  counts.mutable_totals()[0].tokens = 3;
  counts.set_replays(1);
  ASSERT_TRUE(continuation.Advance(counts).ok());
  EXPECT_EQ(continuation.Version().state_hash(), before);
  EXPECT_EQ(continuation.Version().reasons(0), v1::UpdateReason::REPLAYED);
  counts.step = 2;
  counts.set_replays(0);
  ASSERT_TRUE(continuation.Advance(counts).ok());
  EXPECT_NE(continuation.Version().state_hash(), before);
}

TEST(ContinuationTest, MoreThanAnUpdateCanHoldIsNamedAndMovesNothing) {
  const job::JobPlan plan = PlanWith("evenkeel");
  Continuation continuation(plan, job::InitialJobState(plan));
  const uint64_t before = continuation.Version().state_hash();
  StepCounts counts({7, 2});
  counts.step = 1;
  counts.mutable_counts()[0] = 1;
  counts.mutable_totals()[0].tokens = uint64_t{1} << 48;
  const absl::Status status = continuation.Advance(counts);
  EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(status.message()), HasSubstr("layer \"a\""));
  EXPECT_EQ(continuation.Version().state_hash(), before);
}

TEST(ContinuationTest, EachStreamMovesByItself) {
  v1::JobSpec spec = job::TestSpecWithStreams(/*contributors=*/1);
  spec.mutable_balance()->set_preset("loss_free");
  const job::JobPlan plan = job::TestPlan(spec);
  const job::ReferenceModel model(&plan, {/*seed=*/8, {{0, 1, 2, 3}}, /*one_skip_in=*/5, /*scale=*/1});
  const std::vector<job::JobState> trajectory = model.Trajectory(20);
  StepCountsPool pool = PoolOf(plan.layers);
  Continuation continuation(plan, *job::CommittedVersionOf(plan, trajectory[5]));
  for (uint64_t step = 6; step <= 20; ++step) {
    ASSERT_TRUE(continuation.Advance(*CountsOf(model.Payload(0, step), step, &pool)).ok());
    ASSERT_EQ(continuation.Version().state_hash(), job::StateHash(trajectory[step])) << "step " << step;
  }
}

TEST(ContinuationTest, NoMoreIsDispatchedThanWasRouted) {
  const job::JobPlan plan = job::TestPlan(job::TestSpecWithStreams(/*contributors=*/1));
  Continuation continuation(plan, job::InitialJobState(plan));
  const uint64_t before = continuation.Version().state_hash();
  StepCounts counts({plan.layers.total_experts(), plan.layers.size(), plan.layers.dispatched_experts()});
  counts.step = 1;
  counts.mutable_counts()[5] = 2;
  counts.mutable_totals()[1].tokens = 1;
  counts.mutable_dispatched()[5] = 3;
  const absl::Status status = continuation.Advance(counts);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("layer \"a\" stream 1, expert 1: in step 1 3 assignments were dispatched, more than the 2"));
  EXPECT_EQ(continuation.Version().state_hash(), before);
  counts.mutable_dispatched()[5] = 2;
  EXPECT_TRUE(continuation.Advance(counts).ok());
}

TEST(ContinuationTest, RowsThatADeviceRefusedAreNamed) {
  const job::JobPlan plan = PlanWith("evenkeel");
  Continuation continuation(plan, job::InitialJobState(plan));
  StepCounts counts({7, 2});
  counts.step = 4;
  counts.mutable_totals()[1].refused = 3;
  const absl::Status status = continuation.Advance(counts);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("layer \"b\": in step 4 3 rows"));
}

}  // namespace
}  // namespace evenkeel::client
