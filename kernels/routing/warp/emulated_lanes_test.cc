#include "kernels/routing/warp/emulated_lanes.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/ieee.h"
#include "kernels/routing/arithmetic.h"
#include "kernels/routing/derivative.h"
#include "kernels/routing/warp/approximations.h"

// The emulated warp has the semantics that the CUDA C++ programming guide gives the intrinsics of a full warp.
namespace evenkeel::routing::emulated {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

Mask OddLanes() { return (warp::LaneIndex() & 1u) == 1u; }

TEST(EmulatedLanesTest, BallotHasABitForEachLane) {
  EXPECT_EQ(warp::Ballot(OddLanes()), 0xaaaaaaaau);
  EXPECT_EQ(warp::Ballot(warp::LaneIndex() == 31u), 0x80000000u);
  EXPECT_EQ(warp::Ballot(false), 0u);
}

TEST(EmulatedLanesTest, PopCountBelowLeavesOutTheLaneItself) {
  const Word counts = warp::PopCountBelow(0xffffffffu);
  for (uint32_t l = 0; l < 32; ++l) EXPECT_EQ(counts.lane[l], l);
  EXPECT_EQ(warp::PopCountBelow(0x80000001u).lane[31], 1u);
  EXPECT_EQ(warp::PopCountBelow(0x80000001u).lane[0], 0u);
}

TEST(EmulatedLanesTest, MaximaAndMinimaAreUnsigned) {
  Word values = 5u;
  values.lane[7] = 0xfffffff0u;
  values.lane[9] = 3u;
  EXPECT_EQ(warp::MaxOf(values), 0xfffffff0u);
  EXPECT_EQ(warp::MinOf(values), 3u);
}

TEST(EmulatedLanesTest, ShuffleXorMeetsTheLaneOpposite) {
  Float values;
  for (int l = 0; l < 32; ++l) values.lane[l] = static_cast<float>(l);
  const Float met = warp::ShuffleXor(values, 16);
  for (int l = 0; l < 32; ++l) EXPECT_EQ(met.lane[l], l ^ 16);
}

TEST(EmulatedLanesTest, ShufflesAndBroadcastsTakeFromTheirLanes) {
  const Word values = warp::LaneIndex() + 100u;
  const Word shuffled = warp::Shuffle(values, warp::LaneIndex() & 7u);
  const Word halves = warp::BroadcastInHalf(values, 5);
  for (uint32_t l = 0; l < 32; ++l) {
    EXPECT_EQ(shuffled.lane[l], 100 + l % 8);
    EXPECT_EQ(halves.lane[l], l < 16 ? 105u : 121u);
  }
}

TEST(EmulatedLanesTest, BitsAreSetFoundAndCleared) {
  const Word lane = warp::LaneIndex();
  Word bits = warp::SetBit(1u, 5, lane > 3u);
  EXPECT_EQ(bits.lane[3], 1u);
  EXPECT_EQ(bits.lane[4], 33u);
  const Word highest = warp::HighestBit(bits);
  EXPECT_EQ(highest.lane[3], 0u);
  EXPECT_EQ(highest.lane[4], 5u);
  bits = warp::ClearBit(bits, highest);
  EXPECT_EQ(bits.lane[3], 0u);
  EXPECT_EQ(bits.lane[4], 1u);
}

TEST(EmulatedLanesTest, MinOrNanLetsNansThrough) {
  EXPECT_TRUE(std::isnan(warp::MinOrNan(kNan, 1.0f).lane[0]));
  EXPECT_TRUE(std::isnan(warp::MinOrNan(1.0f, kNan).lane[0]));
  EXPECT_EQ(warp::MinOrNan(2.0f, -3.0f).lane[0], -3.0f);
  EXPECT_EQ(warp::MinOrNan(-kInfinity, 2.0f).lane[0], -kInfinity);
}

TEST(EmulatedLanesTest, MaxNumberLeavesNansOut) {
  EXPECT_EQ(warp::MaxNumber(kNan, 1.0f).lane[0], 1.0f);
  EXPECT_EQ(warp::MaxNumber(1.0f, kNan).lane[0], 1.0f);
  EXPECT_EQ(warp::MaxNumber(-kInfinity, -3.0f).lane[0], -3.0f);
  EXPECT_EQ(warp::MaxNumber(2.0f, -3.0f).lane[0], 2.0f);
}

TEST(EmulatedLanesTest, MemoryIsTouchedThroughTheMaskOnly) {
  int16_t memory[2] = {-2, 9};  // lanes 2 and up have none
  const Word lane = warp::LaneIndex();
  const Word loaded = warp::Load(memory, lane, lane < 2u, 77u);
  EXPECT_EQ(loaded.lane[0], 0xfffffffeu);
  EXPECT_EQ(loaded.lane[1], 9u);
  EXPECT_EQ(loaded.lane[31], 77u);
  int64_t wide[2] = {5, 5};
  warp::Store(wide, lane, 0xffffffffu, lane == 1u);
  EXPECT_EQ(wide[0], 5);
  EXPECT_EQ(wide[1], -1);
}

TEST(EmulatedLanesTest, IncrementsOfOnePlaceAddUp) {
  warp::SharedWords words(3);
  warp::Increment({&words, 1}, warp::LaneIndex() >> 4u, OddLanes());
  EXPECT_EQ(words.value(0), 0u);
  EXPECT_EQ(words.value(1), 8u);
  EXPECT_EQ(words.value(2), 8u);
}

TEST(EmulatedLanesTest, SharedWordsAreSeenAfterSync) {
  warp::SharedWords words(40);
  const warp::Shared shared = {&words, 8};
  const Word lane = warp::LaneIndex();
  warp::Store(shared, lane, lane * 3u, true);
  EXPECT_EQ(warp::Load(shared, lane, true, 0u).lane[5], 15u);  // its own
  warp::Sync(shared);
  EXPECT_EQ(warp::Load(shared, Word(31u) - lane, true, 0u).lane[5], 78u);
  EXPECT_EQ(warp::Load(shared, lane, lane > 5u, 7u).lane[5], 7u);
}

TEST(EmulatedLanesDeathTest, RacesAreFound) {
  const Word lane = warp::LaneIndex();
  const auto both = [lane](auto first, auto second) {
    warp::SharedWords words(32);
    const warp::Shared shared = {&words, 0};
    first(shared, lane);
    second(shared, lane);
  };
  const auto store = [](warp::Shared to, Word at) { warp::Store(to, at, 1u, at < 31u); };
  const auto load_next = [](warp::Shared from, Word at) { warp::Load(from, at + 1u, at < 31u, 0u); };
  EXPECT_DEATH(both(store, load_next), "reads shared word 1,");
  EXPECT_DEATH(both(load_next, store), "writes shared word 1,");
  EXPECT_DEATH(both([](warp::Shared to, Word at) { warp::Store(to, at >> 1u, 1u, true); }, store),
               "writes shared word 0,");
}

TEST(EmulatedLanesTest, LoadBelowTakesWholeIntegers) {
  const int64_t memory[] = {0, 7, 8, -1, int64_t{1} << 32, INT64_MIN};
  const Word loaded = warp::LoadBelow(memory, warp::LaneIndex(), warp::LaneIndex() < 6u, 8u, 99u);
  const uint32_t expected[] = {0, 7, 99, 99, 99, 99, 99};
  for (int l = 0; l < 7; ++l) EXPECT_EQ(loaded.lane[l], expected[l]) << l;
}

TEST(EmulatedLanesTest, ZeroPiecesAreOfSixteenBytes) {
  alignas(16) char memory[64];
  std::memset(memory, 1, sizeof(memory));
  warp::StoreZeroPiece(memory, warp::LaneIndex(), warp::LaneIndex() == 2u);
  for (int i = 0; i < 64; ++i) EXPECT_EQ(memory[i], i / 16 == 2 ? 0 : 1) << i;
}

TEST(EmulatedLanesDeathTest, ZeroPiecesLieWhereADeviceStoresThem) {
  alignas(16) char memory[64];
  EXPECT_DEATH(warp::StoreZeroPiece(memory + 8, warp::LaneIndex(), warp::LaneIndex() == 0u), "");
}

TEST(EmulatedLanesDeathTest, StoresInOnePlaceAreFound) {
  static float memory[32];
  const Word lane = warp::LaneIndex();
  const auto meet = [lane](bool sync) {
    warp::Store(memory, lane, 0.0f, true);
    if (sync) warp::SyncStores();
    warp::Store(memory, Word(7u), 1.0f, lane == 3u);
    warp::SyncStores();
  };
  meet(true);
  EXPECT_EQ(memory[7], 1.0f);
  EXPECT_DEATH(meet(false), "lanes 7 and 3 store in one place|lanes 3 and 7 store in one place");
}

// One text, the same bits on lanes as on a number.
TEST(EmulatedLanesTest, ArithmeticIsTheScalars) {
  std::mt19937 random(1);
  for (int round = 0; round < 20000; ++round) {
    Float x;
    for (float& value : x.lane) value = evenkeel::ieee::FromBits(static_cast<uint32_t>(random()));
    const Float sigmoid = Sigmoid(x);
    const Float root = SqrtSoftplus(x);
    const Float exponential = ExpOfDifference(x, 3.5f);
    const Float sigmoid_slope = DifferentiateSigmoid(x).derivative;
    const Float root_slope = DifferentiateSqrtSoftplus(x).derivative;
    for (int l = 0; l < 32; ++l) {
      const auto same = [&](float a, float b) {
        return (a != a && b != b) || evenkeel::ieee::Bits(a) == evenkeel::ieee::Bits(b);
      };
      ASSERT_TRUE(same(sigmoid.lane[l], routing::Sigmoid(x.lane[l]))) << x.lane[l];
      ASSERT_TRUE(same(root.lane[l], routing::SqrtSoftplus(x.lane[l]))) << x.lane[l];
      ASSERT_TRUE(same(exponential.lane[l], routing::ExpOfDifference(x.lane[l], 3.5f))) << x.lane[l];
      ASSERT_TRUE(same(sigmoid_slope.lane[l], routing::DifferentiateSigmoid(x.lane[l]).derivative)) << x.lane[l];
      ASSERT_TRUE(same(root_slope.lane[l], routing::DifferentiateSqrtSoftplus(x.lane[l]).derivative)) << x.lane[l];
    }
  }
}

TEST(EmulatedLanesTest, SumsWrap) {
  Word values = 1u;
  values.lane[3] = 0xffffffffu;
  EXPECT_EQ(warp::SumOf(values), 30u);
}

std::vector<float> SigmoidArguments() {
  std::mt19937 random(2);
  std::vector<float> arguments = {0.0f, -0.0f, kInfinity, -kInfinity, 3e38f, -3e38f, 1e-40f, -1e-40f};
  for (const float most : {0.1f, 2.0f, 20.0f, 130.0f}) {
    std::uniform_real_distribution<float> uniform(-most, most);
    for (int i = 0; i < 50000; ++i) arguments.push_back(uniform(random));
  }
  return arguments;
}

std::vector<float> SqrtSoftplusArguments() {
  std::vector<float> arguments = {kApproximatedLogits, 1000.5f, 33.0f};
  for (const float x : SigmoidArguments()) {
    if (x <= kApproximatedLogits) arguments.push_back(x);
  }
  return arguments;
}

// Nowhere beyond what it promises, and on both sides nearly so far.
TEST(EmulatedLanesTest, ApproximateSigmoidErrsByAllThatItMay) {
  double least = 0;
  double most = 0;
  for (const float x : SigmoidArguments()) {
    const Float approximate = warp::ApproximateSigmoid(x);
    for (const float value : approximate.lane) {
      const double error = static_cast<double>(value) - routing::Sigmoid(x);
      least = std::min(least, error);
      most = std::max(most, error);
    }
  }
  EXPECT_LE(most, kApproximateSigmoidError);
  EXPECT_GE(least, -kApproximateSigmoidError);
  EXPECT_GT(most, 0.9 * kApproximateSigmoidError);
  EXPECT_LT(least, -0.9 * kApproximateSigmoidError);
  EXPECT_TRUE(std::isnan(warp::ApproximateSigmoid(kNan).lane[0]));
}

TEST(EmulatedLanesTest, ApproximateSqrtSoftplusErrsByAllThatItMay) {
  double least = 0;
  double most = 0;
  for (const float x : SqrtSoftplusArguments()) {
    const Float approximate = warp::ApproximateSqrtSoftplus(x);
    for (const float value : approximate.lane) {
      const double error = static_cast<double>(value) - routing::SqrtSoftplus(x);
      least = std::min(least, error);
      most = std::max(most, error);
    }
  }
  EXPECT_LE(most, kApproximateSqrtSoftplusError);
  EXPECT_GE(least, -kApproximateSqrtSoftplusError);
  EXPECT_GT(most, 0.9 * kApproximateSqrtSoftplusError);
  EXPECT_LT(least, -0.9 * kApproximateSqrtSoftplusError);
  EXPECT_TRUE(std::isnan(warp::ApproximateSqrtSoftplus(kNan).lane[0]));
}

TEST(EmulatedLanesTest, ApproximateReciprocalErrsByAllThatItMay) {
  double greatest = 0;
  for (int i = 0; i < 1000; ++i) {
    const float x = 1 + static_cast<float>(i) / 7;
    for (const float value : warp::ApproximateReciprocal(x).lane) {
      greatest = std::max(greatest, std::fabs(value * static_cast<double>(x) - 1));
    }
  }
  EXPECT_LE(greatest, kApproximateReciprocalError);
  EXPECT_GT(greatest, 0.9 * kApproximateReciprocalError);
}

// What a device computes is within the bound, however its two approximate instructions err within theirs.
TEST(EmulatedLanesTest, TheBoundOfApproximateSigmoidHolds) {
  double greatest = 0;
  for (const float x : SigmoidArguments()) {
    const float exponent = x * -0x1.715476p0f;
    for (const double power_error : {-0x1p-22, 0.0, 0x1p-22}) {
      double power = std::exp2(static_cast<double>(exponent)) * (1 + power_error);
      if (power < 0x1p-126) power = 0;  // flushed
      const float sum = static_cast<float>(power) + 1.0f;
      for (const double quotient_error : {-0x1p-23, 0.0, 0x1p-23}) {
        double quotient = 1 / static_cast<double>(sum) * (1 + quotient_error);
        if (quotient < 0x1p-126) quotient = 0;
        greatest = std::max(greatest, std::fabs(quotient - routing::Sigmoid(x)));
      }
    }
  }
  EXPECT_LT(greatest, kApproximateSigmoidError);
  EXPECT_GT(greatest, kApproximateSigmoidError / 4);
}

// So it is with its three.
TEST(EmulatedLanesTest, TheBoundOfApproximateSqrtSoftplusHolds) {
  double greatest = 0;
  for (const float x : SqrtSoftplusArguments()) {
    const float exponent = std::fabs(x) * -0x1.715476p0f;
    for (const double power_error : {-0x1p-22, 0.0, 0x1p-22}) {
      double power = std::exp2(static_cast<double>(exponent)) * (1 + power_error);
      if (power < 0x1p-126) power = 0;  // flushed
      const float sum = static_cast<float>(power) + 1.0f;
      for (const double logarithm_error : {-0x1p-22, 0.0, 0x1p-22}) {
        const float logarithm = static_cast<float>(std::log2(static_cast<double>(sum)) + logarithm_error);
        const float softplus = std::fabs(std::fma(logarithm, 0x1.62e43p-1f, std::max(x, 0.0f)));
        for (const double root_error : {-0x1p-23, 0.0, 0x1p-23}) {
          const double root = softplus < 0x1p-126f ? 0 : std::sqrt(static_cast<double>(softplus)) * (1 + root_error);
          greatest = std::max(greatest, std::fabs(root - routing::SqrtSoftplus(x)));
        }
      }
    }
  }
  EXPECT_LT(greatest, kApproximateSqrtSoftplusError);
  EXPECT_GT(greatest, kApproximateSqrtSoftplusError / 4);
}

}  // namespace
}  // namespace evenkeel::routing::emulated
