// Training that restarts from an older checkpoint: the trajectory is that of a run which nobody interrupted.

#include <signal.h>

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/error_detail.h"
#include "base/grpc_status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "job/test_messages.h"
#include "tests/counting_bench.h"

namespace evenkeel::tests {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kCheckpoint = 10;
constexpr uint64_t kCrash = 16;
constexpr uint64_t kSteps = 24;

class WorkerRewindTest : public CountingBench {
 protected:
  // Until all ranks have begun step kCrash, rank 0 with the state after kCheckpoint in a file; then they die.
  void TrainAndCrash(std::vector<Contributor> contributors, int lag) {
    blob_ = NewFolder("checkpoint") + "/evenkeel_state";
    StartJob(std::move(contributors), kSteps,
             {{"on_loss", "wait"},
              {"lag", absl::StrCat(lag)},
              {"save_after", absl::StrCat(kCheckpoint)},
              {"save_to", blob_}});
    GoTo(kCrash);
    ASSERT_TRUE(AwaitLines(kCrash));
    for (int rank = 0; rank < ranks(); ++rank) Kill(rank);
  }

  Flags Rewind(bool brings_state) const {
    Flags flags = {{"resume", "rewind"}, {"save_after", "0"}};
    if (brings_state) flags["state"] = blob_;
    return flags;
  }

  std::string blob_;
};

struct Case {
  const char* name;
  int lag;
  int group_size;
  bool restarts_coordinator;
  bool loses_state_directory;
  // Of the ranks, from 0 on.
  int bring_state;
};

class WorkerRewindCaseTest : public WorkerRewindTest, public ::testing::WithParamInterface<Case> {};

TEST_P(WorkerRewindCaseTest, TheTrajectoryIsThatOfARunNeverInterrupted) {
  const Case& c = GetParam();
  ASSERT_NO_FATAL_FAILURE(TrainAndCrash(Groups(4, c.group_size), c.lag));
  if (c.restarts_coordinator) {
    KillCoordinator();
    if (c.loses_state_directory) coordinator_options_.state_dir = NewFolder("another");
    StartCoordinator();
  }
  for (int rank = 0; rank < ranks(); ++rank) Restart(rank, kCheckpoint + 1, Rewind(rank < c.bring_state));
  ExpectReferenceAtTheEnd();
}

INSTANTIATE_TEST_SUITE_P(All, WorkerRewindCaseTest,
                         ::testing::Values(Case{"FromHistory", 0, 1, false, false, 0},
                                           Case{"FromHistoryWithLag", 1, 1, false, false, 0},
                                           Case{"WithTheState", 0, 1, false, false, 4},
                                           Case{"TheCoordinatorRestartedToo", 0, 1, true, false, 4},
                                           Case{"TheCoordinatorRestartedTooWithLag", 1, 1, true, false, 0},
                                           Case{"TheCoordinatorLostItsState", 0, 1, true, true, 4},
                                           Case{"TheCoordinatorLostItsStateWithLag", 1, 1, true, true, 4},
                                           Case{"OneRankBringsTheState", 0, 1, true, true, 1},
                                           Case{"Groups", 0, 2, true, false, 4}),
                         [](const auto& info) { return info.param.name; });

// Pitfall 12: a resumed run pushes steps again that are committed.
TEST_F(WorkerRewindTest, Pitfall12AResumedRunThatDoesNotSayHowIsRefused) {
  ASSERT_NO_FATAL_FAILURE(TrainAndCrash(Alone(2), /*lag=*/0));
  Restart(0, kCheckpoint + 1);
  const Ending ending = worker(0).WaitAtMost(absl::Seconds(60));
  EXPECT_EQ(ending.exit_code, 1);
  EXPECT_THAT(ending.stderr_text, HasSubstr("is committed; resume at step"));
}

// Three ask for one step, one for another: nobody goes back, and everybody hears who asked for what.
TEST_F(WorkerRewindTest, RanksThatAskForDifferentStepsWait) {
  ASSERT_NO_FATAL_FAILURE(TrainAndCrash(Alone(4), /*lag=*/0));
  const uint64_t open_step = Describe().summary().open_step();
  for (int rank = 0; rank < 3; ++rank) Restart(rank, kCheckpoint + 1, Rewind(false));

  v1::JoinRequest request = job::TestJoin(Spec(), /*contributor=*/3, /*incarnation=*/77, kCheckpoint);
  request.set_rewind(true);
  std::string message;
  const absl::Time deadline = absl::Now() + absl::Seconds(60);
  while (!absl::StrContains(message, "4 of 4") && absl::Now() < deadline) {
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(deadline));
    v1::JoinResponse response;
    const absl::Status status = FromGrpcStatus(NewStub()->Join(&context, request, &response));
    ASSERT_EQ(ReasonOf(status), v1::ErrorDetail::REWIND_PENDING) << status;
    message = std::string(status.message());
  }
  EXPECT_THAT(message, HasSubstr(absl::StrCat("at step ", kCheckpoint + 1, " contributors 0, 1, 2; at step ",
                                              kCheckpoint, " contributor 3; step ", open_step, " is open")));
  EXPECT_EQ(Describe().summary().open_step(), open_step);
  EXPECT_EQ(Describe().summary().epoch(), 1);

  Restart(3, kCheckpoint + 1, Rewind(false));
  ExpectReferenceAtTheEnd();
}

TEST_F(WorkerRewindTest, AStateOfAnotherRunIsRefused) {
  ASSERT_NO_FATAL_FAILURE(TrainAndCrash(Alone(1), /*lag=*/0));
  const std::string first = blob_;
  seed_ = 8;
  ASSERT_NO_FATAL_FAILURE(TrainAndCrash(Alone(1), /*lag=*/0));
  blob_ = first;
  Restart(0, kCheckpoint + 1, Rewind(true));
  const Ending ending = worker(0).WaitAtMost(absl::Seconds(60));
  EXPECT_EQ(ending.exit_code, 1);
  EXPECT_THAT(ending.stderr_text, HasSubstr("they are not of one run"));
}

// The steps that it runs again were counted in its first life.
TEST_F(WorkerRewindTest, WhoCatchesUpCountsNothingTwice) {
  StartJob(Alone(3), kSteps, {{"on_loss", "wait"}});
  GoTo(kCrash);
  ASSERT_TRUE(AwaitLines(kCrash));
  AwaitCommitted(kCrash);
  Kill(1);
  Restart(1, kCheckpoint + 1, {{"resume", "catch_up"}});
  GoToTheEnd();
  const std::string expected = absl::StrFormat("%016x", job::StateHash(Reference({}).back()));
  for (int rank = 0; rank < ranks(); ++rank) {
    const Ending ending = worker(rank).WaitAtMost(absl::Seconds(60));
    ASSERT_EQ(ending.exit_code, 0) << ending.stderr_text;
    EXPECT_EQ(Lines(rank).back().bias_hash, expected) << "rank " << rank;
    EXPECT_EQ(Lines(rank).back().version, kSteps);
  }
  const StepLine again = ReadLines(worker(1).Output()).front();
  EXPECT_EQ(again.step, kCheckpoint + 1);
  EXPECT_EQ(again.version, kCrash) << "routed with the bias that there is";
}

// Pitfall 15: a teacher that is only routed, beside the student that is trained.
TEST_F(WorkerRewindTest, Pitfall15AJobBesideAnotherIsNotMovedByIt) {
  ASSERT_NO_FATAL_FAILURE(TrainAndCrash(Alone(1), /*lag=*/0));
  const std::string teacher = job_;
  const uint64_t hash = Describe().summary().state_hash();
  ASSERT_NO_FATAL_FAILURE(TrainAndCrash(Alone(2), /*lag=*/0));
  for (int rank = 0; rank < 2; ++rank) Restart(rank, kCheckpoint + 1, Rewind(true));
  ExpectReferenceAtTheEnd();
  job_ = teacher;
  EXPECT_EQ(Describe().summary().state_hash(), hash);
  EXPECT_EQ(Describe().summary().epoch(), 1) << "the other's rewind is none of its own";
}

}  // namespace
}  // namespace evenkeel::tests
