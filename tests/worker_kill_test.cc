// Any process killed at any step: what becomes of the others, and of the trajectory.

#include <signal.h>

#include <algorithm>
#include <iostream>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/counting_bench.h"

namespace evenkeel::tests {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

class WorkerKillTest : public CountingBench {
 protected:
  void Seed(uint64_t seed) {
    random_.seed(seed);
    seed_ = seed;
    std::cout << "seed " << seed << "\n";
  }

  uint64_t Draw(uint64_t first, uint64_t last) { return first + random_() % (last - first + 1); }

  // How a process ends, cleanly or not.
  int DrawEnd() { return Draw(0, 2) == 0 ? SIGTERM : SIGKILL; }

  // Anywhere within a step or two.
  void LetTimePass() { absl::SleepFor(absl::Microseconds(Draw(0, 4000))); }

  // The step that waits for `rank`, which is gone, when all others have done what they can up to `limit`.
  uint64_t OpenStepWithout(int rank, uint64_t limit) {
    while (true) {
      const v1::DescribeJobResponse job = Describe();
      if (job.summary().open_step() > limit || HasFailure()) return job.summary().open_step();
      const auto& contributors = job.contributors();
      if (std::count_if(contributors.begin(), contributors.end(), [&](const v1::ContributorStatus& contributor) {
            return contributor.contributor() == rank || contributor.pushed();
          }) == contributors.size()) {
        return job.summary().open_step();
      }
    }
  }

  void ExpectNobodyStale() {
    for (int rank = 0; rank < ranks(); ++rank) {
      for (const StepLine& line : Lines(rank))
        ASSERT_EQ(line.staleness, 0) << "rank " << rank << ", step " << line.step;
    }
  }

  std::mt19937_64 random_;
};

// Or is stopped, which is worse.
TEST_F(WorkerKillTest, ARankOfAGroupThatDiesIsAnErrorOnTheOthersOfIt) {
  struct Mode {
    std::string name;
    int ranks;
    int group_size;
    bool coordinator;
  };
  const Mode modes[] = {
      {"a world of 2", 2, 2, false},
      {"a world of 5", 5, 5, false},
      {"a world of 4 with a coordinator", 4, 4, true},
      {"groups of 2 of 4 ranks", 4, 2, true},
      {"groups of 4 of 8 ranks", 8, 4, true},
  };
  Seed(11);
  for (const Mode& mode : modes) {
    for (int kills = 0; kills < 2; ++kills) {
      const int victim = static_cast<int>(Draw(0, mode.ranks - 1));
      const uint64_t step = Draw(1, 30);
      SCOPED_TRACE(absl::StrCat(mode.name, ", rank ", victim, " after step ", step));
      Flags flags = {
          {"group_timeout_ms", "2500"}, {"on_loss", "hold"}, {"patience_ms", "200"}, {"lag", absl::StrCat(kills)}};
      if (!mode.coordinator) flags.insert({{"coordinator", ""}, {"store", "file://" + NewFolder("store")}});
      StartJob(Groups(mode.ranks, mode.group_size), /*steps=*/1'000'000, flags);
      GoTo(step);
      ASSERT_TRUE(AwaitLine(victim, step));
      GoToTheEnd();
      LetTimePass();
      kills == 0 ? Kill(victim) : worker(victim).Signal(SIGSTOP);
      for (int rank = 0; rank < mode.ranks; ++rank) {
        if (rank == victim || rank / mode.group_size != victim / mode.group_size) continue;
        const Ending ending = worker(rank).WaitAtMost(absl::Seconds(40));
        EXPECT_EQ(ending.exit_code, 1) << "rank " << rank;
        EXPECT_THAT(ending.stderr_text, AnyOf(HasSubstr("(code 14)"), HasSubstr("(code 4)"))) << "rank " << rank;
      }
    }
  }
}

// Those who hold meanwhile go on, stale; the one that is new is on time.
TEST_F(WorkerKillTest, AWorkerThatDiesAndStartsAgainAtTheOpenStepGoesOn) {
  struct Run {
    uint64_t seed;
    int workers;
    int lag;
    std::string on_loss;
  };
  for (const Run& run : {Run{1, 2, 0, "wait"}, Run{2, 5, 0, "hold"}, Run{3, 3, 1, "wait"}, Run{4, 4, 1, "hold"}}) {
    Seed(run.seed);
    SCOPED_TRACE(absl::StrCat("seed ", run.seed));
    StartJob(Alone(run.workers), /*steps=*/120,
             {{"on_loss", run.on_loss}, {"lag", absl::StrCat(run.lag)}, {"patience_ms", "100"}});
    uint64_t limit = 0;
    for (uint64_t step = Draw(1, 10); step < 110; step = limit + Draw(1, 20)) {
      const int victim = static_cast<int>(Draw(0, run.workers - 1));
      limit = step + Draw(0, 6);
      GoTo(limit);
      ASSERT_TRUE(AwaitLine(victim, step));
      LetTimePass();
      Kill(victim);
      for (int rank = 0; rank < run.workers && run.on_loss == "hold"; ++rank) {
        if (rank != victim) {
          ASSERT_TRUE(AwaitLine(rank, limit));
        }
      }
      Restart(victim, OpenStepWithout(victim, limit));
    }
    ExpectReferenceAtTheEnd();
    if (HasFatalFailure()) return;
    if (run.on_loss == "wait") ExpectNobodyStale();
  }
}

TEST_F(WorkerKillTest, ACoordinatorThatDiesAgainAndAgainChangesNothingForThoseWhoWait) {
  struct Run {
    uint64_t seed;
    int ranks;
    int group_size;
    int lag;
  };
  for (const Run& run : {Run{21, 2, 1, 0}, Run{22, 8, 1, 1}, Run{23, 6, 3, 0}}) {
    Seed(run.seed);
    SCOPED_TRACE(absl::StrCat("seed ", run.seed));
    constexpr uint64_t kSteps = 400;
    constexpr uint64_t kKills = 4;
    StartJob(Groups(run.ranks, run.group_size), kSteps, {{"on_loss", "wait"}, {"lag", absl::StrCat(run.lag)}});
    GoToTheEnd();
    for (uint64_t kill = 0; kill < kKills; ++kill) {
      const uint64_t part = kSteps / kKills;
      ASSERT_TRUE(AwaitLine(static_cast<int>(Draw(0, run.ranks - 1)), kill * part + Draw(1, part / 2)));
      LetTimePass();
      KillCoordinator(DrawEnd());
      StartCoordinator();
    }
    ExpectReferenceAtTheEnd();
    if (HasFatalFailure()) return;
    ExpectNobodyStale();
    EXPECT_EQ(Lines(0).back().epoch, 1 + kKills);
  }
}

// The next death may come before all that was kept is delivered.
TEST_F(WorkerKillTest, ACoordinatorThatDiesAgainAndAgainLosesNothingOfThoseWhoHold) {
  for (const uint64_t seed : {31, 32, 33}) {
    Seed(seed);
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    constexpr uint64_t kSteps = 160;
    const int lag = static_cast<int>(Draw(0, 1));
    StartJob(seed == 33 ? Groups(6, 3) : Alone(static_cast<int>(Draw(2, 6))), kSteps,
             {{"on_loss", "hold"}, {"patience_ms", "100"}, {"lag", absl::StrCat(lag)}});
    for (uint64_t step = Draw(5, 15); step < kSteps - 20; step += Draw(20, 40)) {
      GoTo(step);
      ASSERT_TRUE(AwaitLine(static_cast<int>(Draw(0, ranks() - 1)), step));
      LetTimePass();
      KillCoordinator(DrawEnd());
      GoTo(step + Draw(1, 20));
      LetTimePass();
      StartCoordinator();
      LetTimePass();
    }
    ExpectReferenceAtTheEnd();
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace evenkeel::tests
