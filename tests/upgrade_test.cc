// A coordinator that is replaced under load, cleanly or not: the next life on the same state and address, while the
// workers go on.

#include <signal.h>

#include <iostream>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "tests/counting_bench.h"
#include "tests/fault_tally.h"
#include "tests/protocol_client.h"

namespace evenkeel::tests {
namespace {

class UpgradeTest : public CountingBench {
 protected:
  static void TearDownTestSuite() { tally_.Print(); }

  void Seed(uint64_t seed) {
    std::cout << "seed " << seed << "\n";
    random_.seed(seed);
    seed_ = seed;
  }
  uint64_t Draw(uint64_t first, uint64_t last) { return first + random_() % (last - first + 1); }

  // As doc/operations.md has it: stop, wait, start.
  void Upgrade() {
    coordinator_->Signal(SIGTERM);
    const Ending ending = coordinator_->Wait();
    ASSERT_EQ(ending.exit_code, 0) << ending.stderr_text;
    StartCoordinator();
    tally_.Add("upgrade (SIGTERM)");
  }

  void Crash() {
    KillCoordinator(SIGKILL);
    StartCoordinator();
    tally_.Add("SIGKILL of the coordinator");
  }

  void ExpectNothingLost(uint64_t lives) {
    ASSERT_NO_FATAL_FAILURE(ExpectReferenceAtTheEnd());
    EXPECT_EQ(Lines(0).back().epoch, lives);
    EXPECT_EQ(LostSteps(), 0);
    tally_.AddLost(static_cast<int64_t>(LostSteps()));
  }

  static FaultTally tally_;
  std::mt19937_64 random_;
};

FaultTally UpgradeTest::tally_;

TEST_F(UpgradeTest, UnderLoadNoStepIsLost) {
  constexpr uint64_t kRounds = 30;
  constexpr uint64_t kStepsOfRound = 40;
  for (const uint64_t lag : {0, 1}) {
    Seed(71 + lag);
    SCOPED_TRACE(absl::StrCat("seed ", seed_));
    StartJob(lag == 0 ? Alone(6) : Groups(6, 2), kRounds * kStepsOfRound,
             {{"on_loss", "wait"}, {"lag", absl::StrCat(lag)}});
    GoToTheEnd();
    for (uint64_t round = 0; round < kRounds; ++round) {
      const uint64_t step = round * kStepsOfRound + Draw(1, kStepsOfRound / 2);
      ASSERT_TRUE(AwaitLine(static_cast<int>(Draw(0, ranks() - 1)), step));
      absl::SleepFor(absl::Microseconds(Draw(0, 4000)));  // anywhere within a step or two
      ASSERT_NO_FATAL_FAILURE(round % 3 == 0 ? Upgrade() : Crash());
    }
    ASSERT_NO_FATAL_FAILURE(ExpectNothingLost(1 + kRounds));
    for (int rank = 0; rank < ranks(); ++rank) {
      for (const StepLine& line : Lines(rank)) ASSERT_EQ(line.staleness, 0) << "rank " << rank;
    }
  }
}

// With some pushes of a step in the old life and some yet to come.
TEST_F(UpgradeTest, PushesThatWaitAreMadeAgainAtTheNextLife) {
  constexpr uint64_t kRounds = 6;
  Seed(73);
  StartJob(Alone(4), /*steps=*/10 + kRounds, {{"on_loss", "wait"}});
  GoTo(10);
  ASSERT_TRUE(AwaitLines(10));
  AwaitCommitted(10);
  for (uint64_t step = 11; step <= 10 + kRounds; ++step) {
    for (const int rank : {0, 2, 3}) worker(rank).Tell(absl::StrCat(step));
    ASSERT_EQ(AwaitPushed(NewStub().get(), job_, {0, 2, 3}), absl::OkStatus());
    ASSERT_NO_FATAL_FAILURE(Upgrade());
    worker(1).Tell(absl::StrCat(step));
    AwaitCommitted(step);
  }
  ASSERT_NO_FATAL_FAILURE(ExpectNothingLost(1 + kRounds));
}

}  // namespace
}  // namespace evenkeel::tests
