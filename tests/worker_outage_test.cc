// A coordinator that is killed, and away for 50 steps: what the workers do meanwhile, and that every step's counts are
// in the trajectory exactly once when it is back.

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "job/job_state.h"
#include "tests/counting_bench.h"

namespace evenkeel::tests {
namespace {

constexpr uint64_t kLastBefore = 20;
constexpr uint64_t kLastOfOutage = 70;
constexpr uint64_t kLastOfReturn = 90;
constexpr uint64_t kSteps = 150;

class WorkerOutageTest : public CountingBench {
 protected:
  // Steps up to kLastBefore with the coordinator, up to kLastOfOutage without, up to kLastOfReturn while it takes what
  // has been kept, and the others as if nothing had been, the first of them one by one until all are on time.
  void RunOutage(std::vector<Contributor> contributors, Flags flags) {
    flags.insert({"patience_ms", "500"});
    StartJob(std::move(contributors), kSteps, flags);
    GoTo(kLastBefore);
    ASSERT_TRUE(AwaitLines(kLastBefore));
    KillCoordinator();
    GoTo(kLastOfOutage);
    if (flags["on_loss"] != "wait") {
      ASSERT_TRUE(AwaitLines(kLastOfOutage));
    }
    StartCoordinator();
    for (uint64_t step = kLastOfOutage + 1; step <= kLastOfReturn; ++step) {
      AwaitCommitted(step - 15);
      GoTo(step);
    }
    first_on_time_ = 0;
    for (uint64_t step = kLastOfReturn + 1; step < kSteps && first_on_time_ == 0; ++step) {
      AwaitCommitted(step - 1);
      GoTo(step);
      ASSERT_TRUE(AwaitLines(step));
      if (AllOnTime(step)) first_on_time_ = step;
    }
    GoToTheEnd();
  }

  bool AllOnTime(uint64_t step) const {
    for (int rank = 0; rank < ranks(); ++rank) {
      if (Lines(rank)[step - 1].staleness > 0) return false;
    }
    return true;
  }

  uint64_t MostStale() const {
    uint64_t staleness = 0;
    for (int rank = 0; rank < ranks(); ++rank) {
      for (const StepLine& line : Lines(rank)) staleness = std::max(staleness, line.staleness);
    }
    return staleness;
  }

  void ExpectAnOutage(uint64_t lag = 0) {
    EXPECT_GE(MostStale(), kLastOfOutage - kLastBefore - 1 - lag);
    EXPECT_GT(first_on_time_, 0);
    for (int rank = 0; rank < ranks(); ++rank) EXPECT_EQ(Lines(rank).back().epoch, 2) << "rank " << rank;
  }

  uint64_t first_on_time_ = 0;
};

TEST_F(WorkerOutageTest, WorkersThatHoldDeliverEveryStepOnce) {
  RunOutage(Alone(4), {{"on_loss", "hold"}});
  ExpectReferenceAtTheEnd();
  ExpectAnOutage();
  EXPECT_GE(Lines(0)[kLastOfOutage - 1].undelivered, kLastOfOutage - kLastBefore - 1);
}

TEST_F(WorkerOutageTest, WorkersThatHoldDeliverEveryStepOnceAtLagOne) {
  RunOutage(Alone(4), {{"on_loss", "hold"}, {"lag", "1"}});
  ExpectReferenceAtTheEnd();
  ExpectAnOutage(/*lag=*/1);
}

TEST_F(WorkerOutageTest, WorkersThatWaitHaveTheTrajectoryOfARunWithoutOutage) {
  for (const std::string lag : {"0", "1"}) {
    SCOPED_TRACE(absl::StrCat("lag ", lag));
    RunOutage(Alone(4), {{"on_loss", "wait"}, {"lag", lag}});
    ExpectReferenceAtTheEnd();
    EXPECT_EQ(MostStale(), 0);
  }
}

TEST_F(WorkerOutageTest, GroupsHoldTogether) {
  for (const std::string lag : {"0", "1"}) {
    SCOPED_TRACE(absl::StrCat("lag ", lag));
    RunOutage(Groups(4, 2), {{"on_loss", "hold"}, {"lag", lag}});
    ExpectReferenceAtTheEnd();
    ExpectAnOutage(std::stoi(lag));
    if (HasFatalFailure()) return;
  }
}

// Each moves its bias by what it counts alone, and all have the same again afterwards.
TEST_F(WorkerOutageTest, RanksThatMoveOnByThemselvesComeTogetherAgain) {
  for (const std::string lag : {"0", "1"}) {
    SCOPED_TRACE(absl::StrCat("lag ", lag));
    RunOutage(Alone(3), {{"on_loss", "local"}, {"lag", lag}});
    ExpectReferenceAtTheEnd();
    ExpectAnOutage(std::stoi(lag));
    if (HasFatalFailure()) return;
    EXPECT_TRUE(Lines(0)[kLastOfOutage - 1].provisional);
    EXPECT_NE(Lines(0)[kLastOfOutage - 1].bias_hash, Lines(1)[kLastOfOutage - 1].bias_hash);
  }
}

// They ask for a version at once when they have pushed the step that makes it, and take their time then.
TEST_F(WorkerOutageTest, WorkersWithLongStepsAreOnTimeAgain) {
  constexpr int kTries = 20;
  StartJob(Alone(2), kLastOfOutage + kTries, {{"on_loss", "hold"}, {"patience_ms", "1000"}, {"steered", "within"}});
  GoTo(kLastBefore);
  ASSERT_TRUE(AwaitLines(kLastBefore));
  KillCoordinator();
  GoTo(kLastOfOutage);
  ASSERT_TRUE(AwaitLines(kLastOfOutage));
  StartCoordinator();
  for (uint64_t step = kLastOfOutage; step < kLastOfOutage + kTries; ++step) {
    GoTo(step);
    AwaitCommitted(step);
    absl::SleepFor(absl::Milliseconds(30));  // the rest of the step
  }
  ExpectReferenceAtTheEnd();
  for (const int rank : {0, 1}) {
    int on_time = 0;
    for (const StepLine& line : Lines(rank)) on_time += line.step > kLastOfOutage + 2 && line.staleness == 0;
    EXPECT_GT(on_time, kTries / 2) << "rank " << rank;
  }
}

// By the sign rule all of the state is in the bias: a world that moves it on by itself arrives where the coordinator
// does.
TEST_F(WorkerOutageTest, AWorldThatMovesOnByItselfIsWhereTheCoordinatorWillBe) {
  balance_ = R"({"preset": "loss_free"})";
  for (const std::string lag : {"0", "1"}) {
    SCOPED_TRACE(absl::StrCat("lag ", lag));
    RunOutage(Groups(4, 4), {{"on_loss", "local"}, {"lag", lag}});
    ExpectReferenceAtTheEnd();
    ExpectAnOutage(std::stoi(lag));
    if (HasFatalFailure()) return;
    const std::vector<job::JobState> states = Reference({});
    int provisional = 0;
    for (const StepLine& line : Lines(3)) {
      // Of the version that was due.
      EXPECT_EQ(line.bias_hash, absl::StrFormat("%016x", job::StateHash(states[line.version + line.staleness])))
          << "step " << line.step;
      provisional += line.provisional;
    }
    EXPECT_GE(provisional, kLastOfOutage - kLastBefore - 2);
  }
}

}  // namespace
}  // namespace evenkeel::tests
