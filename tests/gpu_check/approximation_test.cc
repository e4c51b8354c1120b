#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/routing/warp/approximations.h"
#include "tests/gpu_check/approximation_sweep.h"
#include "tests/gpu_check/device_array.h"
#include "tests/gpu_check/quick.h"

// What approximations.h claims of a GPU's instructions, of this GPU's and for every float.
namespace evenkeel::gpu_check {
namespace {

using ApproximationTest = DeviceTest;

TEST_F(ApproximationTest, IsAsGoodAsSelectionTakesItFor) {
  const uint32_t step = Quick() ? 65521 : 1;
  const DeviceArray<ApproximationErrors> errors(stream(), 1, 0);
  const char* why = SweepApproximations(step, errors.data(), stream().get());
  ASSERT_EQ(why, nullptr) << why;
  const ApproximationErrors found = errors.Get()[0];
  EXPECT_EQ(found.numbers, static_cast<uint32_t>(((uint64_t{1} << 32) + step - 1) / step));
  EXPECT_GT(found.reciprocals, found.numbers == 0 ? 800000000u : 10000u);
  EXPECT_GT(found.sigmoid, 0);
  EXPECT_LE(found.sigmoid, routing::kApproximateSigmoidError);
  EXPECT_GT(found.sqrt_softplus, 0);
  EXPECT_LE(found.sqrt_softplus, routing::kApproximateSqrtSoftplusError);
  EXPECT_GT(found.reciprocal, 0);
  EXPECT_LE(found.reciprocal, routing::kApproximateReciprocalError);
}

}  // namespace
}  // namespace evenkeel::gpu_check
