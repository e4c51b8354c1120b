// The text of the device, run by emulated blocks, against ReferenceUpdate(): the same bits for any job and history.

#include "kernels/balance/cuda/flat_layer_update.h"

#include <map>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/balance/cuda/flat_job.h"
#include "kernels/balance/layer_rule.h"
#include "kernels/balance/layer_update.h"
#include "kernels/emulated_block.h"

namespace evenkeel::balance {
namespace {

constexpr int kSteps = 16;

// Below, at, and above the threads of a block; ragged; the most that a kernel routes; and more.
const std::vector<int> kSizes = {7, 8, 1, 64, 256, 257, 60, 384, 1000, 1024, 2049, 33, 512};

template <int kThreads>
void RunShuffled(uint64_t seed, const FlatUpdate& update) {
  for (int i = 0; i < update.num_layers; ++i) {
    ShuffledBlock<kThreads, BlockMemory<kThreads>> block(seed + i);
    UpdateFlatLayer(block, update, i);
  }
}

template <int kThreads>
void RunThreaded(const FlatUpdate& update) {
  for (int i = 0; i < update.num_layers; ++i) {
    ThreadedBlock<kThreads, BlockMemory<kThreads>>::RunAll([&](auto& block) { UpdateFlatLayer(block, update, i); });
  }
}

template <int kThreads>
void ExpectReferenceBits(int seeds) {
  std::map<UpdateReason, int> seen;
  for (int seed = 0; seed < seeds && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    FlatJob job(seed, kSizes);
    for (int step = 0; step < kSteps; ++step) {
      job.DrawStep();
      RunShuffled<kThreads>(seed + step, job.buffers().Update());
      job.ExpectSame();
    }
    for (const auto& [reason, times] : job.seen()) seen[reason] += times;
  }
  for (const UpdateReason reason :
       {UpdateReason::kMoved, UpdateReason::kWarmUp, UpdateReason::kNoTokens, UpdateReason::kBelowMinTokens,
        UpdateReason::kRateZero, UpdateReason::kFrozen, UpdateReason::kObserved, UpdateReason::kSkipped}) {
    EXPECT_GT(seen[reason], seeds) << ReasonName(reason);
  }
}

TEST(FlatLayerUpdateTest, TheReferencesBitsInTheBlockOfTheDevice) { ExpectReferenceBits<256>(40); }

TEST(FlatLayerUpdateTest, TheReferencesBitsInABlockOfAnySize) {
  ExpectReferenceBits<1>(10);
  ExpectReferenceBits<2>(10);
  ExpectReferenceBits<32>(10);
  ExpectReferenceBits<1024>(10);
}

TEST(FlatLayerUpdateTest, PhasesAreAllThatThreadsNeedToMeetAt) {
  for (int seed = 0; seed < 3; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    FlatJob job(seed, {7, 1, 40, 16});
    for (int step = 0; step < kSteps; ++step) {
      job.DrawStep();
      RunThreaded<8>(job.buffers().Update());
      job.ExpectSame();
    }
  }
}

// Balanced but for the bias of one layer, which STATE centres: in index order the sum of it is 2, and along a tree over
// four threads 2^60 swallows both ones.
TEST(FlatLayerUpdateTest, AMeanIsInIndexOrderWhereThatMatters) {
  FlatJob job(1, {4});
  FlatBuffers& buffers = job.buffers();
  BalanceConfig config;
  config.cap = 0;
  buffers.layers[0].rule = MakeLayerRule(config, 4);
  buffers.step = {{1, 1, Mode::kBalance}, true};
  buffers.rates = {1e-2f};
  buffers.tokens = {1};
  buffers.counts = {1, 1, 1, 1};
  buffers.bias = {0x1p60f, -0x1p60f, 1.0f, 1.0f};
  RunShuffled<4>(0, buffers.Update());
  EXPECT_EQ(buffers.bias, std::vector<float>({0x1p60f, -0x1p60f, 0.5f, 0.5f}));
}

// Two layers of three experts, of which the second moves whatever the first is given.
class RefusalTest : public testing::Test {
 protected:
  RefusalTest() : job_(1, {3, 3}) {
    FlatBuffers& buffers = job_.buffers();
    buffers.step = {{1, 1, Mode::kBalance}, true};
    buffers.rates = {1e-2f, 1e-2f};
    buffers.tokens = {1, 1};
    buffers.counts = {1, 2, 3, 1, 2, 3};
    for (FlatLayer& layer : buffers.layers) {
      layer.rule.frozen = false;
      layer.rule.warmup_steps = 0;
      layer.rule.min_tokens = 0;
    }
  }

  // Runs one step, in which the second layer moves, and says whether the first was refused and is as it was.
  bool FirstIsRefused() {
    FlatBuffers& buffers = job_.buffers();
    const FlatBuffers before = buffers;
    RunShuffled<4>(0, buffers.Update());
    EXPECT_EQ(buffers.scalars[1].last_reason, UpdateReason::kMoved);
    EXPECT_EQ(buffers.refused[1], 0);
    if (buffers.refused[0] == 0) return false;
    EXPECT_EQ(buffers.scalars[0].last_commit, 0);
    EXPECT_EQ(buffers.scalars[0].tokens, before.scalars[0].tokens);
    for (int expert = 0; expert < 3; ++expert) {
      EXPECT_EQ(buffers.bias[expert], before.bias[expert]);
      EXPECT_EQ(buffers.ema[expert], before.ema[expert]);
      EXPECT_EQ(buffers.pending[expert], before.pending[expert]);
    }
    return true;
  }

  FlatJob job_;
};

TEST_F(RefusalTest, UpToTheLimitNothingIs) {
  job_.buffers().counts = {kMaxCountSum - 3, 2, 1, 1, 2, 3};
  job_.buffers().tokens[0] = kMaxCountSum;
  EXPECT_FALSE(FirstIsRefused());
}

TEST_F(RefusalTest, TooManyCounts) {
  job_.buffers().counts = {kMaxCountSum - 3, 2, 2, 1, 2, 3};
  EXPECT_TRUE(FirstIsRefused());
}

TEST_F(RefusalTest, CountsThatWrapRound) {
  job_.buffers().counts = {~uint64_t{0}, 2, 0, 1, 2, 3};
  EXPECT_TRUE(FirstIsRefused());
}

TEST_F(RefusalTest, TooManyWithThosePending) {
  job_.buffers().pending[2] = kMaxCountSum - 5;
  EXPECT_TRUE(FirstIsRefused());
}

TEST_F(RefusalTest, TooManyTokens) {
  job_.buffers().tokens[0] = kMaxCountSum + 1;
  EXPECT_TRUE(FirstIsRefused());
}

TEST_F(RefusalTest, TooManyTokensWithThosePending) {
  job_.buffers().tokens[0] = ~uint64_t{0};
  job_.buffers().scalars[0].tokens = 2;
  EXPECT_TRUE(FirstIsRefused());
}

// As on the host, which adds nothing up then.
TEST_F(RefusalTest, NotWhatAFrozenLayerWouldDrop) {
  job_.buffers().layers[0].rule.frozen = true;
  job_.buffers().tokens[0] = kMaxCountSum + 1;
  EXPECT_FALSE(FirstIsRefused());
  EXPECT_EQ(job_.buffers().scalars[0].last_reason, UpdateReason::kFrozen);
}

}  // namespace
}  // namespace evenkeel::balance
