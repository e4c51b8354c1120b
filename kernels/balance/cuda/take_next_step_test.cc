// The text of the device, run by emulated blocks: what it makes of a place, of skips and of replays, and, with a
// FlatUpdate that takes it, the bits of ReferenceUpdate() and RecordUnmoved() driven by hand.

#include "kernels/balance/cuda/take_next_step.h"

#include <limits>
#include <map>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/balance/cuda/flat_job.h"
#include "kernels/balance/cuda/flat_layer_update.h"
#include "kernels/balance/cuda/next_step_buffers.h"
#include "kernels/emulated_block.h"

namespace evenkeel::balance {
namespace {

template <int kThreads>
void TakeShuffled(uint64_t seed, const NextStep& next) {
  ShuffledBlock<kThreads, NoMemory> block(seed);
  TakeNextStep(block, next);
}

// Two layers that share one table, and a third of one rate.
class TakeNextStepTest : public testing::Test {
 protected:
  // Takes one step from `place`.
  void Take(const FlatPlace& place, uint64_t skips, bool apply_skipped, Mode mode = Mode::kBalance) {
    place_ = place;
    skips_ = skips;
    TakeShuffled<4>(1, {&skips_, &replays_, apply_skipped, mode, 3, tables_, &place_, &step_, rates_.data()});
  }

  void ExpectStep(uint64_t step, uint64_t position, bool ok) {
    EXPECT_EQ(step_.info.step, step);
    EXPECT_EQ(step_.info.position, position);
    EXPECT_EQ(step_.ok, ok);
  }
  void ExpectPlace(uint64_t step, uint64_t position) {
    EXPECT_EQ(place_.step, step);
    EXPECT_EQ(place_.position, position);
  }

  const std::vector<float> shared_ = {0.5f, 0.25f, 0.125f};
  const float constant_ = 2.0f;
  const RateTable tables_[3] = {{shared_.data(), 3}, {&constant_, 1}, {shared_.data(), 3}};
  uint64_t skips_ = 0;
  uint64_t replays_ = 0;
  FlatPlace place_ = {0, 0};
  FlatStep step_ = {};
  std::vector<float> rates_ = std::vector<float>(3);
};

TEST_F(TakeNextStepTest, TheFirst) {
  Take({0, 0}, 0, /*apply_skipped=*/false);
  ExpectStep(1, 1, true);
  ExpectPlace(1, 1);
  EXPECT_EQ(rates_, std::vector<float>({0.5f, 2.0f, 0.5f}));
}

TEST_F(TakeNextStepTest, OneThatAllTook) {
  for (const bool apply_skipped : {false, true}) {
    Take({41, 1}, 0, apply_skipped);
    ExpectStep(42, 2, true);
    ExpectPlace(42, 2);
    EXPECT_EQ(rates_, std::vector<float>({0.25f, 2.0f, 0.25f}));
  }
}

TEST_F(TakeNextStepTest, OneThatSomeSkippedMovesNoPosition) {
  for (const uint64_t skips : {uint64_t{1}, uint64_t{8}, uint64_t{1} << 32, std::numeric_limits<uint64_t>::max()}) {
    for (const bool apply_skipped : {false, true}) {
      Take({41, 1}, skips, apply_skipped);
      ExpectStep(42, 2, apply_skipped);
      ExpectPlace(42, 1);
      EXPECT_EQ(rates_, std::vector<float>({0.25f, 2.0f, 0.25f}));
    }
  }
}

// It is a step that was taken, of which nothing moves; a step that was skipped is no more than that.
TEST_F(TakeNextStepTest, OneThatSomeReplayedMovesNoBias) {
  for (const uint64_t replays : {uint64_t{1}, uint64_t{8}, std::numeric_limits<uint64_t>::max()}) {
    replays_ = replays;
    for (const bool apply_skipped : {false, true}) {
      Take({41, 1}, 0, apply_skipped);
      ExpectStep(42, 2, false);
      EXPECT_EQ(step_.why_not, UpdateReason::kReplayed);
      ExpectPlace(42, 2);
      Take({41, 1}, 1, apply_skipped);
      ExpectStep(42, 2, false);
      EXPECT_EQ(step_.why_not, apply_skipped ? UpdateReason::kReplayed : UpdateReason::kSkipped);
      ExpectPlace(42, 1);
    }
  }
}

TEST_F(TakeNextStepTest, TheLastRateIsForEver) {
  for (const uint64_t position : {uint64_t{2}, uint64_t{3}, uint64_t{1} << 32, (uint64_t{1} << 63) + 1}) {
    Take({position, position}, 0, /*apply_skipped=*/false);
    ExpectStep(position + 1, position + 1, true);
    EXPECT_EQ(rates_, std::vector<float>({0.125f, 2.0f, 0.125f})) << position;
  }
}

TEST_F(TakeNextStepTest, TheModeIsTheJobs) {
  for (const Mode mode : {Mode::kBalance, Mode::kFrozen, Mode::kObserve}) {
    Take({1, 1}, 0, /*apply_skipped=*/false, mode);
    EXPECT_EQ(step_.info.mode, mode);
  }
}

// Past the end of every random schedule.
constexpr int kSteps = 48;

// A job of which the device is told nothing but the skips and the replays; `take` and `update` run the text.
template <typename Take, typename Update>
void ExpectAsCommitted(uint64_t seed, const std::vector<int>& sizes, bool apply_skipped, Take take, Update update,
                       std::map<UpdateReason, int>* seen) {
  SCOPED_TRACE(testing::Message() << "seed " << seed << ", apply_skipped " << apply_skipped);
  FlatJob job(seed, sizes, apply_skipped);
  NextStepBuffers next(job.configs());
  for (int step = 0; step < kSteps && !testing::Test::HasFailure(); ++step) {
    job.DrawStep();
    next.skips = job.skips();
    next.replays = job.replays();
    take(next.Next(apply_skipped, job.buffers().step.info.mode));
    update(next.Taking(job.buffers().Update()));
    job.ExpectSame();
  }
  for (const auto& [reason, times] : job.seen()) (*seen)[reason] += times;
}

template <int kThreads>
void ExpectAsCommitted(int seeds) {
  for (const bool apply_skipped : {false, true}) {
    std::map<UpdateReason, int> seen;
    for (int seed = 0; seed < seeds && !testing::Test::HasFailure(); ++seed) {
      const auto take = [&](const NextStep& next) { TakeShuffled<kThreads>(seed, next); };
      const auto update = [&](const FlatUpdate& update) {
        for (int i = 0; i < update.num_layers; ++i) {
          ShuffledBlock<kThreads, BlockMemory<kThreads>> block(seed + i);
          UpdateFlatLayer(block, update, i);
        }
      };
      ExpectAsCommitted(seed, {7, 8, 1, 64, 33, 2, 60}, apply_skipped, take, update, &seen);
    }
    for (const UpdateReason reason :
         {UpdateReason::kMoved, UpdateReason::kWarmUp, UpdateReason::kNoTokens, UpdateReason::kBelowMinTokens,
          UpdateReason::kRateZero, UpdateReason::kFrozen, UpdateReason::kReplayed}) {
      EXPECT_GT(seen[reason], seeds) << ReasonName(reason);
    }
    EXPECT_EQ(seen[UpdateReason::kSkipped] > 0, !apply_skipped);
  }
}

TEST(TakeNextStepRunTest, AsCommittedInTheBlockOfTheDevice) { ExpectAsCommitted<128>(40); }

TEST(TakeNextStepRunTest, AsCommittedInABlockOfAnySize) {
  ExpectAsCommitted<1>(10);
  ExpectAsCommitted<4>(10);
  ExpectAsCommitted<1024>(4);
}

TEST(TakeNextStepRunTest, PhasesAreAllThatThreadsNeedToMeetAt) {
  constexpr int kThreads = 4;
  std::map<UpdateReason, int> seen;
  for (const bool apply_skipped : {false, true}) {
    const auto take = [](const NextStep& next) {
      ThreadedBlock<kThreads, NoMemory>::RunAll([&](auto& block) { TakeNextStep(block, next); });
    };
    const auto update = [](const FlatUpdate& update) {
      for (int i = 0; i < update.num_layers; ++i) {
        ThreadedBlock<kThreads, BlockMemory<kThreads>>::RunAll([&](auto& block) { UpdateFlatLayer(block, update, i); });
      }
    };
    ExpectAsCommitted(3, {7, 1, 40, 16, 2, 3}, apply_skipped, take, update, &seen);
  }
  EXPECT_GT(seen[UpdateReason::kMoved], 0);
}

}  // namespace
}  // namespace evenkeel::balance
