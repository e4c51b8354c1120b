#include "tests/soak/faults.h"

#include <array>
#include <set>

#include "gtest/gtest.h"

namespace evenkeel::soak {
namespace {

constexpr int kWorkers = 16;

std::array<int, kFaults> Count(const FaultPlan& plan, int64_t rounds, bool restarts) {
  std::array<int, kFaults> counts = {};
  for (int64_t round = 0; round < rounds; ++round) {
    const RoundPlan drawn = plan.Draw(round, restarts);
    for (const auto& [moment, fault] : drawn.moments) ++counts[static_cast<int>(fault)];
    for (const Fault fault : drawn.before) ++counts[static_cast<int>(fault)];
    counts[static_cast<int>(Fault::kDuplicate)] += static_cast<int>(drawn.duplicates.size());
  }
  return counts;
}

TEST(FaultPlanTest, EveryKindStrikesInALongSoakAndInAShortOne) {
  for (const int64_t rounds : {200, 2000, 20000}) {
    const std::array<int, kFaults> counts = Count(FaultPlan(1, kWorkers, rounds), rounds, /*restarts=*/true);
    for (int i = 0; i < kFaults; ++i) EXPECT_GT(counts[i], 0) << rounds << " " << NameOf(static_cast<Fault>(i));
  }
}

TEST(FaultPlanTest, WhereTheCoordinatorIsToLiveItIsNotEnded) {
  const FaultPlan plan(1, kWorkers, 5000);
  const std::array<int, kFaults> with = Count(plan, 5000, /*restarts=*/true);
  std::array<int, kFaults> expected = with;
  expected[static_cast<int>(Fault::kKill)] = expected[static_cast<int>(Fault::kStop)] = 0;
  EXPECT_EQ(Count(plan, 5000, /*restarts=*/false), expected);
}

TEST(FaultPlanTest, MomentsAreAllOverTheStep) {
  const FaultPlan plan(1, kWorkers, 50000);
  std::set<int> of_kills;
  for (int64_t round = 0; round < 50000; ++round) {
    for (const auto& [moment, fault] : plan.Draw(round, /*restarts=*/true).moments) {
      EXPECT_GE(moment, 0);
      EXPECT_LE(moment, fault == Fault::kReplace ? kWorkers / 2 - 1 : 2 * kWorkers);
      if (fault == Fault::kKill) of_kills.insert(moment);
    }
  }
  EXPECT_EQ(of_kills.size(), 2 * kWorkers + 1);
}

TEST(FaultPlanTest, TheSeedDecides) {
  const auto kills = [](uint64_t seed) {
    const FaultPlan plan(seed, kWorkers, 5000);
    std::set<int64_t> rounds;
    for (int64_t round = 0; round < 5000; ++round) {
      for (const auto& [moment, fault] : plan.Draw(round, /*restarts=*/true).moments) {
        if (fault == Fault::kKill) rounds.insert(round);
      }
    }
    return rounds;
  };
  EXPECT_EQ(kills(1), kills(1));
  EXPECT_NE(kills(1), kills(2));
}

}  // namespace
}  // namespace evenkeel::soak
